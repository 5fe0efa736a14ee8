//! The simulation, seed by seed.

#[cfg(test)]
mod seeds;
