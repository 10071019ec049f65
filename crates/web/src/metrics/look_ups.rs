//! [`CountedSource`]: how often costs were asked for, and what came of it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use mai_openrouter::{GenerationLookup, GenerationSource, LookupError, LookupFuture};
use secrecy::SecretString;

/// Counters of look-ups. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct LookUps(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    found: AtomicU64,
    not_ready: AtomicU64,
    unauthorized: AtomicU64,
    rate_limited: AtomicU64,
    failed: AtomicU64,
}

impl LookUps {
    /// How many look-ups there were by result.
    pub(super) fn by_result(&self) -> [(&'static str, u64); 5] {
        let counters = &self.0;
        [
            ("found", &counters.found),
            ("not_ready", &counters.not_ready),
            ("unauthorized", &counters.unauthorized),
            ("rate_limited", &counters.rate_limited),
            ("failed", &counters.failed),
        ]
        .map(|(result, count)| (result, count.load(Relaxed)))
    }

    fn add(&self, result: &Result<GenerationLookup, LookupError>) {
        let counter = match result {
            Ok(GenerationLookup::Found(_)) => &self.0.found,
            Ok(GenerationLookup::NotReady) => &self.0.not_ready,
            Err(LookupError::Unauthorized) => &self.0.unauthorized,
            Err(LookupError::RateLimited { .. }) => &self.0.rate_limited,
            Err(_) => &self.0.failed,
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// A source of costs whose answers are counted.
pub struct CountedSource<S> {
    source: S,
    counters: LookUps,
}

impl<S> CountedSource<S> {
    /// Counts what `source` answers.
    pub fn new(source: S) -> Self {
        Self { source, counters: LookUps::default() }
    }

    /// Its counters.
    pub fn counters(&self) -> LookUps {
        self.counters.clone()
    }
}

impl<S: GenerationSource> GenerationSource for CountedSource<S> {
    fn generation(&self, api_key: &SecretString, id: &str) -> LookupFuture {
        let (answer, counters) = (self.source.generation(api_key, id), self.counters.clone());
        Box::pin(async move {
            let answer = answer.await;
            counters.add(&answer);
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with what stands for the id.
    struct Scripted;

    impl GenerationSource for Scripted {
        fn generation(&self, _: &SecretString, id: &str) -> LookupFuture {
            let answer = match id {
                "not_ready" => Ok(GenerationLookup::NotReady),
                "unauthorized" => Err(LookupError::Unauthorized),
                "rate_limited" => Err(LookupError::RateLimited { retry_after: None }),
                _ => Err(LookupError::Upstream { status: 500 }),
            };
            Box::pin(async { answer })
        }
    }

    #[actix_web::test]
    async fn every_result_has_its_counter() {
        for result in ["not_ready", "unauthorized", "rate_limited", "failed"] {
            let source = CountedSource::new(Scripted);
            let answered = source.generation(&"key".into(), result).await;
            assert_eq!(answered.is_ok(), result == "not_ready");
            let counted = source.counters().by_result();
            let counted: Vec<_> = counted.iter().filter(|(_, count)| *count > 0).collect();
            assert_eq!(counted, [&(result, 1)]);
        }
    }
}
