//! Whole runs on a virtual clock and links that lose, repeat and reorder.

mod answers;
mod checks;
mod ends;
mod links;
mod noise;
mod registering;
mod world;
