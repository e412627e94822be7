"""Tutorial 1, Hello World: the simplest thing that does something."""

from ropeway import Ropeway

app = Ropeway(broker="amqp://localhost", store="sqlite:///tutorials.db")


@app.task(name="receive", queue="hello")
def receive(text: str) -> str:
    """Run by a worker for each message in the queue `hello`."""
    print(f" [x] Received {text}")
    return text


if __name__ == "__main__":
    receive.using(queue="plain").send("Hello World!")
    print(" [x] Sent 'Hello World!'")
