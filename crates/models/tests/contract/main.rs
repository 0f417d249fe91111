//! What every family promises ([`zoetrope_models::contract`]), checked over all of them and over a trial family that
//! needs everything the contract offers.
//!
//! A check is a test of its own that goes through all families; its messages name the family, the case and the first
//! value that differs. `ZOETROPE_OPS=candle` sends everything down the path of accelerators,
//! `ZOETROPE_TEST_DEVICE=cuda` to a GPU. A new family needs a row in [`toys`]; docs/adding-a-family.md says what else.
#![cfg(test)]

mod checks;
mod compare;
mod conversations;
mod device;
mod formats;
mod layout;
mod media;
mod pipeline;
mod schedule;
mod test_family;
mod toys;
mod training;
mod trial;
