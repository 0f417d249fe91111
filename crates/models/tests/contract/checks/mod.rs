//! The checks, one file for each promise.

mod adapters;
mod blocks;
mod budgets;
mod counts;
mod devices;
mod features;
mod folders;
mod gradients;
mod names;
mod prompts;
mod sequences;
mod settings;
mod shapes;
mod times;
mod units;
