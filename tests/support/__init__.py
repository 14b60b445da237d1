"""What tests of several folders share: a running server, and a client that sends bytes as they are."""
