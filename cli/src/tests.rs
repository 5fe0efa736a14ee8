//! Whole command lines against a scripted host, as people and programs see them.

mod archives;
mod commands;
mod documents;
mod folder;
mod help;
mod lattice;
mod live;
mod mistakes;
mod rig;
mod up;
