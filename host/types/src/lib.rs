//! Identifiers, calls, links, control messages and errors shared by hosts, providers and tools.
