//! Tests that join hosts, providers, tools and third parties.
