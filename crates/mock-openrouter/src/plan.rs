//! What one request asks of the mock: the behaviours in its model name and headers, with their numbers.

use crate::behaviour::Behaviour;
use http::HeaderMap;
use std::str::FromStr;
use std::time::Duration;

/// The behaviours of one exchange. Empty is the plain `ok` shape.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    behaviours: Vec<Behaviour>,
    delay_ms: Option<u64>,
    mib: Option<u64>,
    /// Replaces the seed drawn from the request counter.
    pub(crate) seed: Option<u64>,
    /// Replaces the setting of the same name for this generation.
    pub(crate) generation_delay: Option<Duration>,
}

impl Plan {
    /// Reads model name and headers. The error is a sentence for the client.
    pub(crate) fn new(model: &str, headers: &HeaderMap) -> Result<Self, String> {
        let mut plan = Self {
            delay_ms: number(headers, "x-mock-delay-ms")?,
            mib: number(headers, "x-mock-mib")?,
            seed: number(headers, "x-mock-seed")?,
            generation_delay: number(headers, "x-mock-generation-delay-ms")?.map(Duration::from_millis),
            ..Self::default()
        };
        if let Some(names) = model.strip_prefix("mock/") {
            plan.add(names)?;
        }
        if let Some(names) = text(headers, "x-mock-behaviour")? {
            plan.add(names)?;
        }
        Ok(plan)
    }

    fn add(&mut self, names: &str) -> Result<(), String> {
        for name in names.split(',') {
            self.behaviours.push(name.trim().parse()?);
        }
        Ok(())
    }

    /// Whether this behaviour (one without a number) was asked for.
    pub(crate) fn has(&self, behaviour: Behaviour) -> bool {
        self.behaviours.contains(&behaviour)
    }

    /// Whether nothing but the usual answer was asked for.
    pub(crate) fn is_usual(&self) -> bool {
        self.behaviours.is_empty()
    }

    /// Whether the exchange ends with an error instead of an answer, before any content.
    pub(crate) fn fails_first(&self) -> bool {
        self.has(Behaviour::ErrorFirst) || self.has(Behaviour::ErrorPlain200)
    }

    /// The HTTP error asked for.
    pub(crate) fn status(&self) -> Option<u16> {
        self.find(|behaviour| if let Behaviour::Status(status) = behaviour { Some(status) } else { None })
    }

    /// The pause before each event.
    pub(crate) fn slow(&self) -> Option<Duration> {
        self.find(|behaviour| if let Behaviour::Slow(ms) = behaviour { Some(ms) } else { None })
            .map(|ms| Duration::from_millis(self.delay_ms.unwrap_or(ms)))
    }

    /// The pause before the headers.
    pub(crate) fn delay_headers(&self) -> Option<Duration> {
        self.find(|behaviour| if let Behaviour::DelayHeaders(ms) = behaviour { Some(ms) } else { None })
            .map(|ms| Duration::from_millis(self.delay_ms.unwrap_or(ms)))
    }

    /// MiB of the endless line.
    pub(crate) fn endless_mib(&self) -> Option<u64> {
        self.find(|behaviour| if let Behaviour::EndlessLine(mib) = behaviour { Some(mib) } else { None })
            .map(|mib| self.mib.unwrap_or(mib))
    }

    /// How many content events a full answer has: 19, so that with the finish event, the usage event and `[DONE]` a stream
    /// of chat has 22 events.
    pub(crate) fn content_events(&self) -> u64 {
        self.find(|behaviour| match behaviour {
            Behaviour::LongStream(events) | Behaviour::Tokens(events) => Some(events),
            _ => None,
        })
        .unwrap_or(19)
    }

    /// Whether each content event is exactly one token.
    pub(crate) fn one_token_each(&self) -> bool {
        self.behaviours.iter().any(|behaviour| matches!(behaviour, Behaviour::Tokens(_)))
    }

    /// Whether a plain answer must be written piece by piece instead of at once.
    pub(crate) fn scripts_plain(&self) -> bool {
        self.behaviours.iter().any(|behaviour| {
            matches!(
                behaviour,
                Behaviour::Split1
                    | Behaviour::SplitRandom
                    | Behaviour::Gzip
                    | Behaviour::EndlessLine(_)
                    | Behaviour::Cut
                    | Behaviour::HeadersThenNothing
            )
        })
    }

    fn find<T>(&self, select: impl Fn(Behaviour) -> Option<T>) -> Option<T> {
        self.behaviours.iter().copied().find_map(select)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, String> {
    headers.get(name).map(|value| value.to_str().map_err(|_| format!("{name} is not text"))).transpose()
}

fn number<T: FromStr>(headers: &HeaderMap, name: &str) -> Result<Option<T>, String> {
    text(headers, name)?.map(|text| text.parse().map_err(|_| format!("{name} is not a number"))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_and_header_add_up() {
        let mut headers = HeaderMap::new();
        headers.insert("x-mock-behaviour", "crlf, slow-5".parse().unwrap());
        headers.insert("x-mock-delay-ms", "9".parse().unwrap());
        let plan = Plan::new("mock/comments,tokens-3", &headers).unwrap();
        assert!(plan.has(Behaviour::Crlf) && plan.has(Behaviour::Comments) && !plan.has(Behaviour::Cr));
        assert_eq!(plan.slow(), Some(Duration::from_millis(9)));
        assert_eq!((plan.content_events(), plan.one_token_each()), (3, true));
    }

    #[test]
    fn unknown_names_and_numbers_are_refused() {
        assert!(Plan::new("mock/tipo", &HeaderMap::new()).unwrap_err().contains("tipo"));
        let mut headers = HeaderMap::new();
        headers.insert("x-mock-seed", "-1".parse().unwrap());
        assert!(Plan::new("openai/o3", &headers).unwrap_err().contains("x-mock-seed"));
    }
}
