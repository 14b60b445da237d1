"""The settings that both Django applications share."""

from django.conf import settings


def configure(urlconf: str) -> None:
    """Sets Django up for a project of one module, which has the routes."""
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DEBUG=False,
        LOGGING_CONFIG=None,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF=urlconf,
        SECRET_KEY="of a benchmark",
    )
