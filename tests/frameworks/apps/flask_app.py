"""Flask: `bicorn flask_app:app`."""

from content import Deliberate, blocks, describe
from flask import Flask, Response, make_response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return f"Hello, {request.args.get('name', 'you')}!"


@app.post("/form")
def form() -> str:
    return f"{request.form['name']} from {request.form['city']}"


@app.post("/upload")
def upload() -> str:
    file = request.files["file"]
    return describe(file.filename or "", file.stream)


@app.get("/download")
def download() -> Response:
    return Response(blocks(), mimetype="application/octet-stream")


@app.get("/cookies")
def cookies() -> Response:
    response = make_response(request.cookies.get("given", "none"))
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


@app.get("/redirect")
def elsewhere() -> BaseResponse:
    return redirect("/")


@app.get("/error")
def error() -> str:
    raise Deliberate("flask")
