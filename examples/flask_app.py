"""A Flask application (WSGI): pip install flask, then

bicorn examples/flask_app.py
"""

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index():
    return f"Hello from Flask, {request.args.get('name', 'you')}!\n"


@app.post("/upload")
def upload():
    """curl -F file=@README.md http://127.0.0.1:8000/upload"""
    files = {name: len(file.read()) for name, file in request.files.items()}
    return {"bytes": files, "fields": request.form.to_dict()}
