//! A disk that is full, and a disk that fails. The writer is given a device in place of its segment.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Error, Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, atomic::Ordering, mpsc},
    thread,
    time::Duration,
};

use tempfile::tempdir;
use tokio::sync::oneshot;

use super::{append_texts, bytes, open, payloads, runtime, segments, small, texts};
use crate::{
    Admission, Journal, JournalError, JournalSettings, SyncMode,
    append::{Append, Command as Order, Outcome, Wish},
    files,
    frame::Record,
    reserve::Reserve,
    segment,
    shared::Shared,
    writer::Writer,
};

/// What a writer answers to appends that wait already when it begins, if its segment is this file. One more
/// is detached. The error is that of an earlier sync.
fn answers(
    settings: JournalSettings,
    file: File,
    appends: usize,
    poison: Option<Error>,
) -> (Arc<Shared>, Vec<Outcome>) {
    let (mut wishes, replies): (Vec<_>, Vec<_>) = (0..appends)
        .map(|_| oneshot::channel())
        .map(|(reply, answer)| ((Admission::New, Wish::Acknowledged(reply)), answer))
        .unzip();
    wishes.push((Admission::New, Wish::Detached));
    let shared = write(settings, file, wishes, poison);
    let answers = replies.into_iter().map(|reply| reply.blocking_recv().unwrap()).collect();
    (shared, answers)
}

/// Lets a writer, whose segment is this file, write records of 300 bytes, and close.
pub(crate) fn write(
    settings: JournalSettings,
    file: File,
    wishes: Vec<(Admission, Wish)>,
    poison: Option<Error>,
) -> Arc<Shared> {
    let (queue, orders) = mpsc::channel();
    for (class, wish) in wishes {
        queue.send(Order::Append(record_of_300(class, wish))).unwrap();
    }
    drop(queue);
    let (shared, writer) = writer(settings, file, orders);
    if let Some(poison) = poison {
        shared.poison.set(Arc::new(poison)).unwrap();
    }
    writer.run();
    shared
}

pub(crate) fn writer(
    settings: JournalSettings,
    file: File,
    orders: mpsc::Receiver<Order>,
) -> (Arc<Shared>, Writer) {
    let found = segment::recover(&settings.dir).unwrap();
    let lock = files::lock(&settings.dir).unwrap();
    let shared = Arc::new(Shared::new(settings, lock, &found));
    let reserve = Reserve::open(&shared).unwrap();
    (Arc::clone(&shared), Writer::new(shared, orders, reserve, file, 0))
}

pub(crate) fn record_of_300(class: Admission, wish: Wish) -> Append {
    Append { class, records: vec![Record::new(vec![1; 292]).unwrap()], wish }
}

pub(crate) fn on_disk(dir: &Path) -> JournalSettings {
    JournalSettings { sync: SyncMode::Disk, ..small(dir) }
}

#[test]
fn a_group_is_admitted_up_to_the_bound() {
    let dir = tempdir().unwrap();
    let settings = JournalSettings { segment_bytes: 3100, max_bytes: 3100, ..on_disk(dir.path()) };
    let (shared, answers) = answers(settings, tempfile::tempfile().unwrap(), 12, None);
    assert!(answers[..10].iter().all(Result::is_ok), "{answers:?}");
    assert!(
        answers[10..].iter().all(|answer| matches!(answer, Err(JournalError::Full { .. }))),
        "{answers:?}"
    );
    assert_eq!(shared.end(), 3000);
    assert_eq!(shared.detached_failures.load(Ordering::Relaxed), 1);
}

/// The kernel reports a failed sync once; the next one may pass although the data is lost.
#[test]
fn a_sync_that_would_pass_again_is_not_trusted() {
    let dir = tempdir().unwrap();
    let file = tempfile::tempfile().unwrap();
    let poison = Some(Error::other("an earlier sync"));
    let (shared, answers) = answers(on_disk(dir.path()), file.try_clone().unwrap(), 3, poison);
    for answer in answers {
        assert!(matches!(answer, Err(JournalError::SyncFailed(_))), "{answer:?}");
    }
    assert_eq!(file.metadata().unwrap().len(), 0);
    assert_eq!(shared.end(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_fails_the_append_and_no_more() {
    let dir = tempdir().unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (shared, answers) = answers(on_disk(dir.path()), full, 2, None);
    assert!(matches!(answers[0], Err(JournalError::NoSpace(_))), "{answers:?}");
    assert_eq!(shared.end(), 0);
    assert_eq!(shared.detached_failures.load(Ordering::Relaxed), 1);
    assert_eq!(shared.commits.load(Ordering::Relaxed), 0);
    assert!(shared.no_space.load(Ordering::Relaxed));
    assert!(!dir.path().join("reserve").exists());
}

/// A device that takes every write but cannot be synced.
#[cfg(target_os = "linux")]
#[test]
fn after_a_failed_sync_nothing_is_acknowledged() {
    let dir = tempdir().unwrap();
    let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
    let (shared, answers) = answers(on_disk(dir.path()), null, 3, None);
    for answer in answers {
        assert!(matches!(answer, Err(JournalError::SyncFailed(_))), "{answer:?}");
    }
    assert!(matches!(shared.health(), Err(JournalError::SyncFailed(_))));
    assert_eq!(shared.end(), 0);
    assert_eq!(shared.detached_failures.load(Ordering::Relaxed), 1);
}

/// A full disk takes no new checkpoint. If that kept segments from being removed, it would stay full.
#[test]
fn forgetting_frees_segments_even_without_a_checkpoint() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let positions = append_texts(&journal, texts(0..50));
    let obstacle = dir.path().join("checkpoint.new");
    fs::create_dir(&obstacle).unwrap();
    let before = segments(dir.path()).len();
    assert!(matches!(journal.forget(positions[40]), Err(JournalError::Io { .. })));
    assert!(segments(dir.path()).len() < before);
    assert_eq!(payloads(&journal), bytes(&texts(40..50)));

    fs::remove_dir(&obstacle).unwrap();
    journal.forget(positions[41]).unwrap();
    drop(journal);
    assert_eq!(payloads(&open(&dir)), bytes(&texts(41..50)));
}

/// A disk that hangs is a pipe that is full: the checkpoint is written into it, and waits.
#[cfg(target_os = "linux")]
#[test]
fn appends_and_figures_do_not_wait_for_the_files_of_forget() {
    use std::os::unix::fs::OpenOptionsExt;
    const NONBLOCKING: i32 = 0o4000;

    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let positions = append_texts(&journal, texts(0..20));
    let path = dir.path().join("checkpoint.new");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let mut pipe = OpenOptions::new().read(true).write(true).custom_flags(NONBLOCKING).open(&path).unwrap();
    let mut filling = vec![0; 1 << 20];
    while pipe.write(&filling).is_ok() {}

    let forgetting = {
        let (journal, below) = (journal.clone(), positions[15]);
        thread::spawn(move || journal.forget(below))
    };
    let opened = || {
        let files = fs::read_dir("/proc/self/fd").unwrap();
        files.filter(|file| fs::read_link(file.as_ref().unwrap().path()).is_ok_and(|to| to == path)).count()
    };
    while opened() < 2 {
        thread::yield_now();
    }
    let (done, figures) = mpsc::channel();
    {
        let journal = journal.clone();
        thread::spawn(move || {
            append_texts(&journal, texts(20..50));
            let read = journal.read(positions[19], 1).unwrap();
            done.send((journal.stats(), journal.first(), journal.durable_end(), read.records.len())).unwrap();
        });
    }
    // The time only bounds how long a failure takes: nothing but this thread lets the pipe go on.
    let (stats, first, end, read) = figures.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(!forgetting.is_finished());
    assert_eq!((stats.records, stats.retained_bytes, stats.durable_end), (50, end.get(), end));
    assert_eq!((stats.forgotten_to.get(), first.get(), read), (0, 0, 1));

    while !forgetting.is_finished() {
        if pipe.read(&mut filling).is_err() {
            thread::yield_now();
        }
    }
    forgetting.join().unwrap().unwrap();
    let stats = journal.stats();
    let base = segments(dir.path())[0].file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    assert!(base > 0);
    assert_eq!((stats.forgotten_to, stats.retained_bytes), (journal.first(), end.get() - base));
    assert_eq!(payloads(&journal), bytes(&texts(15..50)));
}

const LIMITED: &str = "MAI_JOURNAL_TEST_LIMITED_DIR";

/// Runs in a process of its own, whose files may not grow beyond a limit: the write that passes it is short,
/// and the next one fails.
fn append_beyond_the_limit(dir: &Path) {
    let settings = JournalSettings { segment_bytes: 1 << 20, sync: SyncMode::Disk, ..small(dir) };
    let journal = Journal::open(settings).unwrap();
    let append = |payload| runtime().block_on(journal.append(Admission::New, payload));
    let mut kept = 0;
    let failure = loop {
        match append(vec![1; 3000]) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(failure, JournalError::NoSpace(_)), "{failure:?}");
    // A short write left bytes behind; they are gone, and what fits is taken again.
    let append = |payload| runtime().block_on(journal.append(Admission::Continuing, payload));
    append(vec![2; 10]).unwrap();
    assert!(matches!(append(vec![3; 3000]), Err(JournalError::NoSpace(_))));
    append(vec![4; 10]).unwrap();
    assert_eq!(payloads(&journal).len(), kept + 2);
    println!("\nkept={kept}");
}

#[cfg(unix)]
#[test]
fn a_short_write_leaves_nothing_behind() {
    if let Some(dir) = std::env::var_os(LIMITED) {
        return append_beyond_the_limit(Path::new(&dir));
    }
    let dir = tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    // Ignoring the signal turns the limit into an error of the write.
    let script = "trap '' XFSZ; ulimit -f 20; exec \"$0\" --exact tests::faults::a_short_write_leaves_nothing_behind --nocapture";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .env(LIMITED, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let kept: Vec<usize> = lines.filter_map(|line| line.strip_prefix("kept=")?.parse().ok()).collect();
    assert!(child.wait().unwrap().success());
    let length = fs::metadata(&segments(dir.path())[0]).unwrap().len();
    let journal = open(&dir);
    assert_eq!(journal.recovery().truncated_bytes, 0);
    assert_eq!(journal.durable_end().get(), length);
    let mut expected = vec![vec![1; 3000]; kept[0]];
    expected.extend([vec![2; 10], vec![4; 10]]);
    assert_eq!(payloads(&journal), expected);
}
