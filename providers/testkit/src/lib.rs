//! One conformance suite for each capability contract.
