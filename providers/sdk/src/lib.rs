//! Capability contracts, their dialects, and what a provider needs to fulfil them.
