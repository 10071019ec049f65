//! Attempts to sign in, counted by address, so that nobody tries passwords or tokens one after another.
//!
//! An account has a lock of its own; this bounds those who try many accounts, and how much hashing a
//! stranger can cause. It is the address of the connection that counts: behind a proxy everybody shares
//! one.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// For how long attempts are counted together.
const WINDOW: Duration = Duration::from_secs(60);

/// How many addresses are kept.
const ADDRESSES_AT_MOST: usize = 10_000;

/// Counts attempts. Clones share the numbers.
#[derive(Clone)]
pub struct Attempts {
    /// How many may fail in a minute.
    at_most: u32,
    addresses: Arc<Mutex<HashMap<IpAddr, Window>>>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    ends_at: Instant,
    attempts: u32,
}

/// An attempt that goes on. Unless it is said to have succeeded it counts as failed.
pub(crate) struct Attempt<'a> {
    attempts: &'a Attempts,
    address: IpAddr,
}

impl Attempts {
    /// Lets `at_most` attempts fail in a minute.
    pub fn new(at_most: u32) -> Self {
        Self { at_most, addresses: Arc::default() }
    }

    /// Begins an attempt, or says after how many seconds there may be one.
    pub(crate) fn begin(&self, address: IpAddr) -> Result<Attempt<'_>, u32> {
        let (address, now) = (network(address), Instant::now());
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= ADDRESSES_AT_MOST && !addresses.contains_key(&address) {
            addresses.retain(|_, window| now < window.ends_at);
            if addresses.len() >= ADDRESSES_AT_MOST {
                addresses.clear();
            }
        }
        let fresh = Window { ends_at: now + WINDOW, attempts: 0 };
        let window = addresses.entry(address).or_insert(fresh);
        if window.ends_at <= now {
            *window = fresh;
        }
        if window.attempts >= self.at_most {
            let seconds = (window.ends_at - now).as_secs().saturating_add(1);
            return Err(u32::try_from(seconds).unwrap_or(u32::MAX));
        }
        window.attempts = window.attempts.saturating_add(1);
        Ok(Attempt { attempts: self, address })
    }
}

impl Attempt<'_> {
    /// It was no attempt to guess.
    pub(crate) fn succeeded(self) {
        let mut addresses = self.attempts.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = addresses.get_mut(&self.address) {
            window.attempts = window.attempts.saturating_sub(1);
        }
    }
}

/// Whoever has an address of IPv6 usually has a whole network of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(test);
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn failures_are_bounded_and_successes_are_not() {
        run(async {
            let attempts = Attempts::new(2);
            let refused = |text: &str| attempts.begin(address(text)).err();
            for _ in 0..5 {
                attempts.begin(address("192.0.2.1")).ok().unwrap().succeeded();
            }
            assert_eq!([refused("192.0.2.1"), refused("192.0.2.1")], [None, None]);
            assert_eq!(refused("192.0.2.1"), Some(61));
            assert_eq!(refused("::ffff:192.0.2.1"), Some(61));
            assert_eq!(refused("192.0.2.2"), None);
            tokio::time::advance(Duration::from_millis(59_500)).await;
            assert_eq!(refused("192.0.2.1"), Some(1));
            tokio::time::advance(Duration::from_millis(500)).await;
            assert_eq!(refused("192.0.2.1"), None);
        });
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        run(async {
            let attempts = Attempts::new(1);
            let refused = |text: &str| attempts.begin(address(text)).err();
            assert_eq!(refused("2001:db8:0:1::1"), None);
            assert_eq!(refused("2001:db8:0:1:ffff::2"), Some(61));
            assert_eq!(refused("2001:db8:0:2::1"), None);
        });
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        run(async {
            let attempts = Attempts::new(1);
            for index in 0..=u32::try_from(ADDRESSES_AT_MOST).unwrap() {
                assert!(attempts.begin(IpAddr::V4(index.into())).is_ok());
            }
            assert_eq!(attempts.addresses.lock().unwrap().len(), 1);
        });
    }
}
