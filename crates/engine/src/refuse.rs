//! Answers that no application has given: to bytes that are no acceptable request, whose connection they end,
//! and to requests that the application fails or has no place for.

use bicorn_proto::Refusal;
use bicorn_proto::http1::{HeadError, Persistence, ResponseHead, Version, response};

use crate::access_log::{LogDraft, Outcome};
use crate::connection::Phase;
use crate::engine::{Engine, Event, millis};
use crate::exchange::{ExchangeId, Inbound, Outbound};
use crate::reply::Part;
use crate::table::ConnectionId;

/// Seconds after which a client that found no place may try again (RFC 9110 section 10.2.3).
const RETRY_AFTER: &[u8] = b"1";

impl Engine {
    /// Answers a request that is refused, if nothing was answered yet, and ends the connection.
    pub(crate) fn refuse(&mut self, id: ConnectionId, refusal: Refusal) -> Option<Event> {
        self.accounts.failed();
        let connection = self.connections.get_mut(id)?;
        let peer = connection.peer;
        let name = ExchangeId {
            connection: id,
            serial: connection.serial,
        };
        let mut event = None;
        let mut draft = None;
        if let Some(exchange) = &mut connection.exchange
            && exchange.outbound == Outbound::Complete
        {
            // The answer is on its way, and with it the end of the connection.
            exchange.inbound = Inbound::Broken;
            return None;
        }
        if let Some(mut exchange) = connection.exchange.take() {
            if exchange.waiting.content || exchange.waiting.room {
                event = Some(Event::Wake(name));
            }
            if exchange.outbound == Outbound::Pending {
                draft = exchange.log.take();
            }
            let is_answered = exchange.outbound != Outbound::Pending;
            self.end_exchange(peer, &exchange);
            if is_answered {
                self.drop_connection(id);
                return event;
            }
        }
        let text = refusal_text(refusal, self.clock.date_line());
        let draft = draft.unwrap_or_else(LogDraft::unreadable);
        let outcome = Outcome {
            status: refusal.status(),
            bytes: text.len() as u64,
            micros: 0,
        };
        self.log_line(peer, &draft, &outcome);
        self.say_farewell(id, &text);
        event
    }

    /// Answers a request that there is no place for. It was a good one, so its connection goes on.
    pub(crate) fn answer_overload(&mut self, id: ExchangeId) {
        let refusal = Refusal::Overload;
        let head = plain_head(refusal.status()).and_then(|mut head| {
            head.field(b"retry-after", RETRY_AFTER)?;
            Ok(head)
        });
        self.answer_instead(id, head, refusal.reason());
    }

    /// Answers with one sentence in the application's place.
    pub(crate) fn answer_instead(
        &mut self,
        id: ExchangeId,
        head: Result<ResponseHead, HeadError>,
        sentence: &str,
    ) {
        let body = format!("{sentence}\n");
        if let Ok(head) = head {
            let part = Part {
                head: Some(&head),
                body: body.as_bytes(),
                end: true,
            };
            // The peer may have left, which is as good.
            let _gone = self.send(id, &part);
        }
        self.accounts.failed();
    }

    fn say_farewell(&mut self, id: ConnectionId, text: &[u8]) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.phase = Phase::Farewell;
        self.set_deadline(
            id,
            self.clock.millis() + millis(self.settings.write_timeout),
        );
        self.send_raw(id, text);
    }
}

/// The head of an answer that is one sentence.
pub(crate) fn plain_head(status: u16) -> Result<ResponseHead, HeadError> {
    let mut head = ResponseHead::default();
    head.begin(status, None)?;
    head.field(b"content-type", b"text/plain; charset=utf-8")?;
    Ok(head)
}

/// A refusal's answer: the status and one sentence, and the end of the connection.
fn refusal_text(refusal: Refusal, date_line: &[u8]) -> Vec<u8> {
    let reason = refusal.reason().as_bytes();
    let mut text = Vec::with_capacity(256);
    if let Ok(head) = plain_head(refusal.status()) {
        let around = response::Circumstances {
            version: Version::Http11,
            is_head: false,
            persistence: Persistence::Close,
            date: date_line,
            server: b"",
            whole: Some(reason.len() as u64 + 1),
        };
        head.finish(&around, &mut text);
        text.extend_from_slice(reason);
        text.push(b'\n');
    }
    text
}
