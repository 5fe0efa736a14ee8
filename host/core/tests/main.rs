//! The host as its embedders see it: real engine, real claims, scripted providers.

#[cfg(test)]
mod actors;
#[cfg(test)]
mod control;
#[cfg(test)]
mod lattice;
#[cfg(test)]
mod links;
#[cfg(test)]
#[cfg(unix)]
mod process;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod support;
