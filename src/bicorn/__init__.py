"""Bicorn, a Python application server with two horns: WSGI and ASGI."""
