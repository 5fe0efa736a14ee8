//! The engine against guests: good, old, strange and hostile ones.

#[cfg(test)]
mod abi;
#[cfg(test)]
mod cache;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod long_calls;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod preinit;
#[cfg(test)]
mod wasi;
