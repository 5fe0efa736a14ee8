//! Publish, request and subscribe between hosts: over NATS, or inside one process.
