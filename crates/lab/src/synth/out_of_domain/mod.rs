//! Pictures and clips that are no scenes of drawn shapes, with the statistics of photographs, films and screens: dead
//! leaves (Lee, Mumford and Huang, "Occlusion models for natural images", IJCV 2001), noise whose power falls with its
//! frequency, landscapes, pages of text, test patterns. Models learn from such images what holds for real ones (Baradad
//! and others, "Learning to see by looking at noise", arXiv 2106.05963). The default model learns from them to say that
//! it knows drawn shapes only.
//!
//! Bottom up: `noise`; `palette`; `canvas`; `leaves`, `pages`; `image_kinds`; `film`.

mod canvas;
mod film;
mod image_kinds;
mod leaves;
mod noise;
mod pages;
mod palette;

pub use film::OutOfDomain;
