//! The engine of Bicorn: all sockets of one worker behind one pollable descriptor.
//!
//! Owns readiness, accepting, connections, deadlines, write queues and the access log. It must not
//! know of Python: it hands out [`Event`]s and takes answers, and whoever drives it calls the
//! application between the two, with the engine unlocked. What bytes mean is decided in
//! `bicorn_proto`.
//!
//! ```text
//! begin_turn ─▶ next_event ─▶ Event::Request ─▶ (the application) ─▶ respond ─┐
//!                   ▲         Event::Wake    ─▶ (a waiting reader)   read     │
//!                   └──────────────────────────── end_turn ◀──────────────────┘
//! ```

mod accepting;
mod access_log;
mod accounts;
mod admission;
mod clock;
mod connection;
mod content;
mod deadlines;
mod drain;
mod engine;
mod exchange;
mod gate;
mod in_flight;
mod intake;
mod linger;
mod listener;
mod outbox;
mod poller;
mod process;
mod refuse;
mod reply;
mod scoreboard;
mod settings;
mod table;
mod wheel;

pub use connection::{Local, Peer, await_readable, await_writable};
pub use content::Content;
pub use content::regular_file_length;
pub use engine::{Batch, Engine, Event};
pub use exchange::{ExchangeId, InboundRequest, Intake};
pub use in_flight::RequestInFlight;
pub use outbox::Payload;
pub use process::{become_subreaper, die_with_parent, stay_inspectable};
pub use reply::{Part, ReplyError, Sent};
pub use scoreboard::{Counters, LATENCY_BUCKETS, Scoreboard};
pub use settings::{BodyMode, Concurrency, LogTarget, Settings};
pub use table::ConnectionId;
