//! Attempts to sign in or to guess a token, counted by address, so that nobody tries passwords or tokens
//! one after another.
//!
//! An account has a lock of its own; this bounds those who try many accounts, and how much hashing a
//! stranger can cause. It is the address of the connection that counts: behind a proxy everybody shares
//! one.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    failed: u32,
    /// How many go on, which may fail.
    open: u32,
}

/// An attempt that goes on. Unless it is said to have succeeded it counts as failed.
pub(crate) struct Attempt<'a> {
    attempts: &'a Attempts,
    address: IpAddr,
    has_failed: bool,
}

impl Attempts {
    /// Lets `at_most` attempts fail in a minute.
    pub fn new(at_most: u32) -> Self {
        Self { at_most, addresses: Arc::default() }
    }

    /// Begins an attempt, or says after how many seconds there may be one.
    pub(crate) fn begin(&self, address: IpAddr) -> Result<Attempt<'_>, u32> {
        let (address, now) = (network(address), Instant::now());
        let mut addresses = self.addresses();
        let window = window(&mut addresses, address, now);
        if window.failed.saturating_add(window.open) >= self.at_most {
            return Err(window.seconds_left(now));
        }
        window.open = window.open.saturating_add(1);
        Ok(Attempt { attempts: self, address, has_failed: true })
    }

    /// Whether there may be an attempt that is not expected to fail and is counted only if it does, else
    /// after how many seconds.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), u32> {
        let now = Instant::now();
        match self.addresses().get(&network(address)) {
            Some(window) if now < window.ends_at && window.failed >= self.at_most => {
                Err(window.seconds_left(now))
            }
            _ => Ok(()),
        }
    }

    /// Counts an attempt that has failed.
    pub(crate) fn failed(&self, address: IpAddr) {
        let mut addresses = self.addresses();
        let window = window(&mut addresses, network(address), Instant::now());
        window.failed = window.failed.saturating_add(1);
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, Window>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The present window of an address, a fresh one where there is none. Where there are too many addresses,
/// the one whose window ends first is forgotten: whoever has as many cannot have others forgotten at once.
fn window(addresses: &mut HashMap<IpAddr, Window>, address: IpAddr, now: Instant) -> &mut Window {
    if addresses.len() >= ADDRESSES_AT_MOST && !addresses.contains_key(&address) {
        addresses.retain(|_, window| now < window.ends_at);
        if addresses.len() >= ADDRESSES_AT_MOST {
            let oldest = addresses.iter().min_by_key(|(_, window)| window.ends_at);
            let oldest = oldest.map(|(address, _)| *address);
            oldest.and_then(|oldest| addresses.remove(&oldest));
        }
    }
    let ends_at = now + WINDOW;
    let window = addresses.entry(address).or_insert(Window { ends_at, failed: 0, open: 0 });
    if window.ends_at <= now {
        *window = Window { ends_at, failed: 0, open: window.open };
    }
    window
}

impl Window {
    fn seconds_left(&self, now: Instant) -> u32 {
        let seconds = (self.ends_at - now).as_secs().saturating_add(1);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }
}

impl Attempt<'_> {
    /// It was no attempt to guess.
    pub(crate) fn succeeded(mut self) {
        self.has_failed = false;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut addresses = self.attempts.addresses();
        if let Some(window) = addresses.get_mut(&self.address) {
            window.open = window.open.saturating_sub(1);
            window.failed = window.failed.saturating_add(self.has_failed.into());
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
    fn the_number_of_addresses_is_bounded_and_the_oldest_is_forgotten() {
        run(async {
            let attempts = Attempts::new(1);
            let numbers = 0..u32::try_from(ADDRESSES_AT_MOST).unwrap();
            for number in numbers.clone() {
                assert!(attempts.begin(IpAddr::V4(number.into())).is_ok());
                if number == 0 {
                    tokio::time::advance(Duration::from_secs(1)).await;
                }
            }
            assert!(attempts.begin(address("192.0.2.1")).is_ok());
            assert_eq!(attempts.addresses().len(), ADDRESSES_AT_MOST);
            for number in numbers.skip(1) {
                assert!(attempts.check(IpAddr::V4(number.into())).is_err(), "{number}");
            }
            assert_eq!(attempts.check(IpAddr::V4(0.into())), Ok(()));
        });
    }

    #[test]
    fn what_is_not_expected_to_fail_is_counted_when_it_does() {
        run(async {
            let attempts = Attempts::new(2);
            let one = address("192.0.2.1");
            let open = [attempts.begin(one).ok().unwrap(), attempts.begin(one).ok().unwrap()];
            assert!(attempts.begin(one).is_err());
            assert_eq!(attempts.check(one), Ok(()), "these two may still succeed");
            let [first, second] = open;
            first.succeeded();
            drop(second);
            attempts.failed(one);
            assert_eq!(attempts.check(one), Err(61));
            assert_eq!(attempts.check(address("192.0.2.2")), Ok(()));
            tokio::time::advance(WINDOW).await;
            assert_eq!(attempts.check(one), Ok(()));
            assert!(attempts.begin(one).is_ok());
        });
    }
}
