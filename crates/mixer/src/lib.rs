//! One conference's audio without IO: who is heard by whom, on ports shared by many participants.

#![forbid(unsafe_code)]
