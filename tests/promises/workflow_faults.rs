//! Workflows and durable steps through kills of workers, keepers and the server.
