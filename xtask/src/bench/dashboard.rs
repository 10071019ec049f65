//! `cargo xtask bench dashboard`: how long the pages of a large organization take.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use indicatif::ProgressBar;
use mai_organization::{
    exchange_rates::{NbpClient, NbpSettings, RateUpdater},
    generation_processing::{NewGeneration, UsageSource},
    usage_tracking::{ClientUsageTable, query, record_generations, verify::organizations},
};
use mai_primitives::{
    Clock as _, GenerationId, MarkupRate, ModelName, OpenRouterUserId, OrganizationCalendar, OrganizationId,
    SystemClock, UnixTime, UsageDate, Usd, UserId,
};
use mai_seed::SeedPlan;
use mai_storage::Storage;

use crate::{
    interrupts::Interrupts,
    stack::{self, ORGANIZATION, Stack},
};

/// How many days of the models beside the catalogue's there are: the most that a page's range has.
const MODEL_DAYS: u64 = 366;

/// How long the gateway may take to know an organization that was just made.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

/// Opens every page of a large made-up organization, on a release build over loopback, and tells how long each
/// takes. Fails when the median of a page is over the target.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask bench dashboard --members 100 --months 6")]
pub(super) struct Args {
    /// How many members the organization has.
    #[arg(long, default_value_t = 1_000)]
    members: u64,
    /// How many models are used each day, beside those of the catalogue.
    #[arg(long, default_value_t = 300)]
    models: u32,
    /// How many months of usage there are.
    #[arg(long, default_value_t = 36, value_parser = clap::value_parser!(u64).range(1..=120))]
    months: u64,
    /// How often each page is opened.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    /// The most milliseconds that a page may take.
    #[arg(long, default_value_t = 50)]
    target: u64,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let interrupts = Interrupts::catch()?;
    let target_folder = crate::tidy::metadata::load()?.target_directory;
    stack::build(&["--release"], &interrupts)?;
    let programs = target_folder.join("release");
    let log = target_folder.join("bench-dashboard.log");
    fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
    let stack = Stack::start(&programs, &log)?;
    let organization = fill(&stack.storage(), args)?;
    settle(&stack)?;
    let token = stack.sign_in_token(&organization)?;
    let host = stack.gateway_url.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let reader = Reader::sign_in(host, &token)?;
    let pages = reader.pages(&organization)?;
    let mut measured = Vec::with_capacity(pages.len());
    for page in pages {
        ensure!(!interrupts.came(), "interrupted");
        measured.push(reader.measure(page, args.times)?);
    }
    let over = measured.iter().filter(|page| page.status != 200 || page.median > args.target * 1_000).count();
    println!("{}", table(&measured));
    println!("{over} of {} pages failed or took more than {} ms", measured.len(), args.target);
    Ok(if over == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A large organization with a history; its id.
fn fill(storage: &Storage, args: &Args) -> Result<OrganizationId> {
    let end = OrganizationCalendar::default().usage_date(SystemClock.now());
    let days = args.months * 30 + args.months / 2;
    let plan = SeedPlan { seed: 1, organizations: 1, users: args.members, days, end: end.minus_days(1) };
    let bar = ProgressBar::new(plan.organization_days());
    mai_seed::seed(storage, &plan, |done| bar.set_position(done))?;
    bar.finish_and_clear();
    let all = storage.read_blocking(organizations)?;
    let seeded = all.into_iter().find(|id| id.as_str() != ORGANIZATION).context("nothing was seeded")?;
    let before = end.minus_days(1);
    let members = storage.read_blocking(|conn| query::user_daily_rows(conn, &seeded, before, before))?;
    let members: Vec<_> = members.into_iter().map(|row| (row.user_id, row.openrouter_user_id)).collect();
    let bar = ProgressBar::new(days.min(MODEL_DAYS));
    for age in 0..days.min(MODEL_DAYS) {
        let generations = generations(&seeded, &members, end.minus_days(age), args.models)?;
        let now = UnixTime::from(SystemClock.now());
        storage.write_blocking(|conn| record_generations(conn, &seeded, &generations, now))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(seeded)
}

/// Gives all days that are over their rates and lets the database look at its tables, as the daily run does.
fn settle(stack: &Stack) -> Result<()> {
    // It fails where there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (storage, clock) = (stack.storage(), Arc::new(SystemClock));
    let nbp = NbpClient::new(NbpSettings::at(stack.nbp_url.as_str()))?;
    let updater = RateUpdater::new(storage.clone(), nbp, clock.clone());
    let usage = ClientUsageTable::new(storage.clone(), clock);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let begun = Instant::now();
    let fixed = runtime.block_on(async {
        if let Some(first) = usage.first_day_without_rate().await? {
            updater.bring_up_to_date(first).await?;
        }
        anyhow::Ok(usage.fix_daily_rates().await?)
    })?;
    println!("{} days were given their rates in {} ms", fixed.days, begun.elapsed().as_millis());
    storage.write_blocking(mai_storage::learn_sizes)?;
    Ok(())
}

/// A generation of each of many models on a day, by members in turn.
fn generations(
    organization: &OrganizationId,
    members: &[(UserId, OpenRouterUserId)],
    date: UsageDate,
    models: u32,
) -> Result<Vec<NewGeneration>> {
    let one = |(number, (user_id, openrouter_user_id)): (u32, &(UserId, OpenRouterUserId))| {
        Ok(NewGeneration {
            client_org_id: organization.clone(),
            id: GenerationId::new(format!("gen-bench-{date}-{number}"))?,
            generation_date: date,
            total_cost: Usd::from_nanos(1_000_000 * i64::from(number % 50 + 1)),
            cost_text: format!("0.{:03}", number % 50 + 1),
            markup_rate: MarkupRate::DEFAULT,
            user_id: user_id.clone(),
            openrouter_user_id: openrouter_user_id.clone(),
            model_name: ModelName::new(format!("author-{}/model-{number}", number % 30))?,
            requested_model: None,
            serving_provider: None,
            input_tokens: 1_000,
            output_tokens: 200,
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
            is_byok: false,
            tokens_estimated: false,
            streamed: true,
            source: UsageSource::Gateway,
            gateway_key_id: None,
            task: None,
            started_at: OrganizationCalendar::default().start_of(date).plus_seconds(1_800),
        })
    };
    (0..models).zip(members.iter().cycle()).map(one).collect()
}

/// Somebody who is signed in and opens pages.
struct Reader {
    host: String,
    cookie: String,
}

/// What an address was answered with.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
    took: Duration,
}

/// How long a page took, in microseconds.
struct Measured {
    page: String,
    status: u16,
    /// Of the page as it is transferred.
    bytes: usize,
    median: u64,
    greatest: u64,
}

impl Reader {
    /// Opens the session of a one-time link, once the gateway knows the organization.
    fn sign_in(host: String, token: &str) -> Result<Self> {
        let mut reader = Self { host, cookie: String::new() };
        let form = format!("token={token}&next=%2F");
        let begun = Instant::now();
        loop {
            let answer = reader.ask("POST", "/sign-in/link", "", &form)?;
            let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
            if let Some(cookie) = cookie.and_then(|cookie| cookie.split(';').next()) {
                cookie.clone_into(&mut reader.cookie);
                return Ok(reader);
            }
            ensure!(begun.elapsed() < KNOWN_WITHIN, "signing in failed with {}", answer.status);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Every page that the tabs of the first one lead to, of this month and of twelve months.
    fn pages(&self, organization: &OrganizationId) -> Result<Vec<String>> {
        let start = format!("/organizations/{organization}");
        let answer = self.ask("GET", &start, "", "")?;
        let text = String::from_utf8_lossy(&answer.body);
        let tabs = text.split("<div class=\"tabs\">").nth(1).and_then(|rest| rest.split("</div>").next());
        let tabs = tabs.with_context(|| format!("{start} has no tabs; its status is {}", answer.status))?;
        let links = tabs.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let mut paths: Vec<String> = links.map(str::to_owned).collect();
        paths.push(format!("{start}/providers"));
        let ranges = |path: &String| ["this-month", "12m"].map(|range| format!("{path}?range={range}"));
        let mut pages: Vec<String> = paths.iter().flat_map(ranges).collect();
        pages.push(format!("{start}?range=12m&group=user"));
        pages.push(format!("{start}/users?range=12m&search=a&sort=name&page=3"));
        Ok(pages)
    }

    fn measure(&self, page: String, times: u32) -> Result<Measured> {
        // Once before it counts, so that what it reads is in memory.
        let mut last = self.ask("GET", &page, "gzip", "")?;
        let mut took = Vec::new();
        for _ in 0..times {
            last = self.ask("GET", &page, "gzip", "")?;
            took.push(u64::try_from(last.took.as_micros())?);
        }
        took.sort_unstable();
        Ok(Measured {
            page,
            status: last.status,
            bytes: last.body.len(),
            median: took.get(took.len() / 2).copied().unwrap_or_default(),
            greatest: took.last().copied().unwrap_or_default(),
        })
    }

    fn ask(&self, method: &str, path: &str, encoding: &str, form: &str) -> Result<Answer> {
        let Self { host, cookie } = self;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nAccept-Encoding: {encoding}\r\n\
             Cookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{form}",
            form.len()
        );
        let mut connection = TcpStream::connect(host).with_context(|| format!("cannot reach {host}"))?;
        let begun = Instant::now();
        connection.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        let took = begun.elapsed();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no answer of HTTP")?;
        let (head, body) = answer.split_at(end + 4);
        let head = String::from_utf8_lossy(head).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok(Answer { status: status.context("no status")?, head, body: body.to_vec(), took })
    }
}

/// In Markdown, the slowest first.
fn table(measured: &[Measured]) -> String {
    let mut sorted: Vec<&Measured> = measured.iter().collect();
    sorted.sort_by_key(|page| std::cmp::Reverse(page.median));
    let row = |page: &&Measured| {
        let Measured { page, status, bytes, median, greatest } = page;
        format!("| `{page}` | {status} | {bytes} | {} | {} |\n", millis(*median), millis(*greatest))
    };
    let rows: String = sorted.iter().map(row).collect();
    format!("| page | status | bytes | median ms | greatest ms |\n|---|--:|--:|--:|--:|\n{rows}")
}

/// Microseconds in milliseconds with one decimal, rounded down.
fn millis(micros: u64) -> String {
    format!("{}.{}", micros / 1_000, micros % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_page_is_first() {
        let page = |page: &str, median| Measured {
            page: page.to_owned(),
            status: 200,
            bytes: 9_000,
            median,
            greatest: 61_250,
        };
        let table = table(&[page("/a", 4_999), page("/b", 50_000)]);
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows, ["| `/b` | 200 | 9000 | 50.0 | 61.2 |", "| `/a` | 200 | 9000 | 4.9 | 61.2 |"]);
    }
}
