//! Conferences on a virtual clock: phones that send tones and noise, and what each of them hears.

mod golden;
mod links;
mod moderation;
mod phone;
mod sources;
mod tones;
