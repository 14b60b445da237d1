"""Between the host and the application: loading it, and knowing which interface it has.

    loading.py      ``bicorn APP`` becomes an object: import, attribute, factory, and errors that help
    detection.py    ASGI or WSGI, by the shape of the object

Runs in the worker; the parent never imports an application. Knows no HTTP and no sockets. Import the modules
by name: the parent needs `AppInfo` alone.
"""
