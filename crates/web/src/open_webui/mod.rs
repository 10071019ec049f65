//! Open WebUI as a neighbour: whoever is signed in there may be known here.

pub mod session;
