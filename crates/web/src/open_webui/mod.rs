//! Open WebUI as a neighbour: whoever is known there may be known here.

pub mod registry;
pub mod session;
pub mod sync;
