//! Tasks that append and wait, and the group commit for the stores that have none of their own.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use mai_journal::{Admission, Journal};
use tokio::{runtime::Runtime, sync::oneshot};

use crate::stores::Store;

/// After so many records the older ones are forgotten.
const FORGET_EVERY: u64 = 10_000;
const RECORD_BYTES: usize = 300;

/// A record of 300 bytes that looks like a settled generation: text that repeats, ids that do not.
pub fn record(number: u64) -> Vec<u8> {
    // The constants are those of SplitMix64, a public-domain generator.
    let mut seed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = || {
        seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        seed ^= seed >> 31;
        seed
    };
    let mut text = format!(
        r#"{{"id":"gen-{:016x}{:016x}","org":"org-{}","user":"user_{:016x}","model":"openai/gpt-4o-mini","in":{},"out":{},"cost":"0.{:09}","at":{number}"#,
        random(),
        random(),
        random() % 100,
        random(),
        random() % 10_000,
        random() % 1_000,
        random() % 1_000_000_000,
    );
    text.push_str(r#","key":""#);
    while text.len() < RECORD_BYTES - 2 {
        text.push_str(&format!("{:016x}", random()));
    }
    text.truncate(RECORD_BYTES - 2);
    text.push_str("\"}");
    text.into_bytes()
}

#[derive(Clone)]
pub enum Appender {
    Grouped(Grouped),
    Journal(Journal),
}

impl Appender {
    async fn append(&self, payload: Vec<u8>) -> Result<()> {
        match self {
            Self::Grouped(grouped) => grouped.append(payload).await,
            Self::Journal(journal) => Ok(journal.append(Admission::New, payload).await.map(drop)?),
        }
    }

    fn commits(&self) -> u64 {
        match self {
            Self::Grouped(grouped) => grouped.commits.load(Ordering::Relaxed),
            Self::Journal(journal) => journal.stats().commits,
        }
    }
}

type Waiting = (Vec<u8>, oneshot::Sender<()>);

/// The journal's way to commit, for any store: one thread takes all that is queued and commits it at once.
#[derive(Clone)]
pub struct Grouped {
    queue: mpsc::Sender<Waiting>,
    commits: Arc<AtomicU64>,
}

impl Grouped {
    pub fn start(mut store: impl Store) -> Self {
        let (queue, waiting) = mpsc::channel::<Waiting>();
        let commits = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&commits);
        thread::spawn(move || -> Result<()> {
            let (mut records, mut forgotten) = (0, 0);
            while let Ok(first) = waiting.recv() {
                let (payloads, replies) =
                    std::iter::once(first).chain(waiting.try_iter()).unzip::<_, _, _, Vec<_>>();
                store.commit(payloads)?;
                count.fetch_add(1, Ordering::Relaxed);
                records += replies.iter().map(|_| 1).sum::<u64>();
                for reply in replies {
                    reply.send(()).ok();
                }
                if records - forgotten >= FORGET_EVERY {
                    store.forget_all()?;
                    forgotten = records;
                }
            }
            Ok(())
        });
        Self { queue, commits }
    }

    async fn append(&self, payload: Vec<u8>) -> Result<()> {
        let (reply, done) = oneshot::channel();
        self.queue.send((payload, reply)).ok().context("the store failed")?;
        done.await.context("the store failed")
    }
}

/// What one run measured.
pub struct Load {
    /// Sorted.
    latencies: Vec<Duration>,
    elapsed: Duration,
    commits: u64,
}

impl Load {
    pub fn run(runtime: &Runtime, appender: Appender, appenders: usize, time: Duration) -> Result<Self> {
        let next = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let tasks: Vec<_> = (0..appenders)
            .map(|_| {
                let (appender, next) = (appender.clone(), Arc::clone(&next));
                runtime.spawn(async move {
                    let mut latencies = Vec::new();
                    while start.elapsed() < time {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let payload = record(number);
                        let begin = Instant::now();
                        appender.append(payload).await?;
                        latencies.push(begin.elapsed());
                        if let Appender::Journal(journal) = &appender
                            && number % FORGET_EVERY == 0
                        {
                            journal.forget(journal.durable_end())?;
                        }
                    }
                    anyhow::Ok(latencies)
                })
            })
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(runtime.block_on(task)??);
        }
        let elapsed = start.elapsed();
        latencies.sort_unstable();
        Ok(Self { latencies, elapsed, commits: appender.commits() })
    }

    pub fn records(&self) -> usize {
        self.latencies.len()
    }

    /// Records per second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    fn percentile(&self, percent: usize) -> f64 {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len() - 1);
        self.latencies[index].as_secs_f64() * 1000.0
    }
}

impl fmt::Display for Load {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, group) = (self.rate(), self.latencies.len() as f64 / self.commits as f64);
        let (median, high) = (self.percentile(50), self.percentile(99));
        write!(formatter, "{rate:.0} | {group:.1} | {median:.2} | {high:.2}")
    }
}
