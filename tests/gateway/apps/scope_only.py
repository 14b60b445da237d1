"""An ASGI application without lifespan that shows its scope."""

from asgi_cases import Message, Receive, Send, scope_facts


async def app(scope: Message, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await scope_facts(scope, receive, send)
