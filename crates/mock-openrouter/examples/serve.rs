//! Serves the mock until it is stopped: `cargo run -p mai-mock-openrouter --example serve -- --port 9100`.
//!
//! `--list` prints the name of every behaviour with what it leaves to a meter, and ends.

use mai_mock_openrouter::{Behaviour, Mock, MockSettings};
use std::error::Error;
use std::io::Write;

fn main() -> Result<(), Box<dyn Error>> {
    // Memory stays bounded, however long it serves.
    let mut settings = MockSettings {
        keep_requests: 0,
        keep_bodies: false,
        keep_charges: 100_000,
        ..MockSettings::default()
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--list" {
            return list();
        }
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--port" => settings.port = value.parse()?,
            "--seed" => settings.seed = value.parse()?,
            _ => {
                return Err(format!("unknown option {argument}; there are --port, --seed and --list").into());
            }
        }
    }
    let mock = Mock::start(settings)?;
    writeln!(std::io::stdout(), "OPENROUTER_BASE_URL={}\nNBP_BASE_URL={}", mock.base_url(), mock.nbp_url())?;
    loop {
        std::thread::park();
    }
}

fn list() -> Result<(), Box<dyn Error>> {
    for behaviour in Behaviour::ALL {
        writeln!(std::io::stdout(), "{behaviour} {:?}", behaviour.outcome())?;
    }
    Ok(())
}
