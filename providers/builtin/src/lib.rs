//! The logging and number-generation capabilities every host has.
