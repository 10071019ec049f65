//! A disk of 8 MiB and 100 files that is filled up, and has room again.

use std::{fs, io::Write, path::Path, process::Command};

use mai_journal::{Admission, Journal, JournalError, JournalSettings};
use tempfile::tempdir;

use crate::{FOLDER, again, contents, eventually, once_more, run};

const RECORD_BYTES: usize = 10_000;

/// Runs `test` once more, in a folder that is a small disk. Nobody else sees that disk, and it is gone with
/// the process.
fn on_a_small_disk(test: &str) {
    let folder = tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=8m,nr_inodes=100 small-disk \"$MAI_JOURNAL_TEST_DISK\"";
    // With the rights of root, or in a user namespace of its own.
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let mut attempts = String::new();
    for way in ways {
        let attempt = Command::new("unshare")
            .args(way)
            .args(["sh", "-c", mount])
            .env(FOLDER, folder.path())
            .output()
            .expect("this test needs unshare: apt-get install util-linux");
        if attempt.status.success() {
            let mut command = Command::new("unshare");
            command.args(way).args(["sh", "-c", &format!("{mount} && exec \"$0\" \"$@\"")]);
            let output = again(&mut command, test, folder.path()).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && text.contains(DONE), "{text}\n{errors}");
            return;
        }
        attempts += &String::from_utf8_lossy(&attempt.stderr);
    }
    panic!(
        "this test needs a small disk and cannot mount one. Run it as root or where user namespaces are \
         allowed; a container needs --cap-add SYS_ADMIN --security-opt seccomp=unconfined: {attempts}"
    );
}

/// What the process on the small disk prints at its end.
const DONE: &str = "the disk was full";

fn settings(disk: &Path) -> JournalSettings {
    // The default reserve, which is half of this disk.
    JournalSettings { segment_bytes: 1 << 20, ..JournalSettings::new(disk.join("journal")) }
}

fn record(number: usize) -> Vec<u8> {
    let mut record = number.to_string().into_bytes();
    record.resize(RECORD_BYTES, b' ');
    record
}

/// Appends records, first some at once, until one is refused for want of space. Returns how many there are now.
fn fill(journal: &Journal, class: Admission, mut count: usize) -> usize {
    for at_once in [3, 1] {
        let mut refused = false;
        while !refused {
            let outcomes = run(async {
                let mut tasks = tokio::task::JoinSet::new();
                for number in count..count + at_once {
                    let journal = journal.clone();
                    tasks.spawn(async move { journal.append(class, record(number)).await });
                }
                tasks.join_all().await
            });
            for outcome in outcomes {
                match outcome {
                    Ok(_) => count += 1,
                    Err(JournalError::NoSpace(_)) => refused = true,
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    }
    count
}

fn is_refused(journal: &Journal, class: Admission) {
    let refused = run(journal.append(class, record(0)));
    assert!(matches!(refused, Err(JournalError::NoSpace(_))), "{class:?}: {refused:?}");
}

/// How many records there are; each is whole.
fn count(journal: &Journal) -> usize {
    contents(journal).iter().inspect(|record| assert_eq!(record.len(), RECORD_BYTES)).count()
}

#[test]
fn accepted_work_finishes_and_new_work_comes_back_by_itself() {
    let Some(disk) = once_more() else {
        return on_a_small_disk("full::accepted_work_finishes_and_new_work_comes_back_by_itself");
    };
    let journal = Journal::open(settings(&disk)).unwrap();
    assert!(!journal.stats().no_space);
    let before = fill(&journal, Admission::New, 0);
    let half = (4 << 20) / RECORD_BYTES;
    assert!((half - 20..=half).contains(&before), "{before} records in the first half");
    is_refused(&journal, Admission::New);
    journal.append_lazily(record(0));

    let all = fill(&journal, Admission::Continuing, before);
    assert!((half - 20..=half).contains(&(all - before)), "{} records in the reserve", all - before);
    for class in [Admission::New, Admission::Continuing, Admission::Moving] {
        is_refused(&journal, class);
    }
    let stats = journal.stats();
    assert_eq!((count(&journal), stats.lazy_dropped, stats.no_space), (all, 1, true));

    // There is no room even for a start, but what there is can be read and forgotten.
    journal.close().unwrap();
    let journal = Journal::open(settings(&disk)).unwrap();
    assert!(journal.stats().no_space && journal.health().is_ok());
    assert_eq!((count(&journal), journal.recovery().truncated_bytes), (all, 0));
    is_refused(&journal, Admission::New);
    journal.forget(journal.durable_end()).unwrap();
    eventually("the reserve is there again", || !journal.stats().no_space);
    run(journal.append(Admission::New, record(1))).unwrap();
    journal.close().unwrap();

    let journal = Journal::open(settings(&disk)).unwrap();
    assert_eq!((count(&journal), journal.stats().no_space), (1, false));
    println!("{DONE}");
}

/// The disk is smaller than a segment, so the only segment has to end before its time. That takes a little of
/// the reserve.
#[test]
fn a_disk_smaller_than_a_segment_has_room_again_once_its_records_are_forgotten() {
    let test = "full::a_disk_smaller_than_a_segment_has_room_again_once_its_records_are_forgotten";
    let Some(disk) = once_more() else { return on_a_small_disk(test) };
    let journal = Journal::open(JournalSettings::new(disk.join("journal"))).unwrap();
    let all = fill(&journal, Admission::New, 0);
    assert_eq!(count(&journal), all);
    journal.forget(journal.durable_end()).unwrap();
    eventually("the reserve is there again", || !journal.stats().no_space);
    run(journal.append(Admission::New, record(1))).unwrap();
    assert_eq!(count(&journal), 1);
    println!("{DONE}");
}

#[test]
fn others_fill_the_disk_and_leave_it() {
    let Some(disk) = once_more() else {
        return on_a_small_disk("full::others_fill_the_disk_and_leave_it");
    };
    let theirs = disk.join("theirs");
    let fill_up = || {
        let mut file = fs::File::create(&theirs).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    };
    // The very first start, on a disk without a byte of room.
    fill_up();
    let journal = Journal::open(settings(&disk)).unwrap();
    assert!(journal.stats().no_space);
    is_refused(&journal, Admission::Continuing);
    fs::remove_file(&theirs).unwrap();
    eventually("the reserve is made", || !journal.stats().no_space);
    run(journal.append(Admission::New, record(1))).unwrap();

    // And while it runs.
    fill_up();
    let all = fill(&journal, Admission::New, 1);
    is_refused(&journal, Admission::New);
    run(journal.append(Admission::Continuing, record(2))).unwrap();
    fs::remove_file(&theirs).unwrap();
    eventually("the reserve is made again", || !journal.stats().no_space);
    run(journal.append(Admission::New, record(3))).unwrap();
    assert_eq!(count(&journal), all + 2);
    println!("{DONE}");
}

/// A disk may have room for bytes and none for a file. The reserve is a file as well.
#[test]
fn a_new_segment_takes_the_place_of_the_reserve() {
    let Some(disk) = once_more() else {
        return on_a_small_disk("full::a_new_segment_takes_the_place_of_the_reserve");
    };
    let journal = Journal::open(settings(&disk)).unwrap();
    let theirs = disk.join("theirs");
    fs::create_dir(&theirs).unwrap();
    let mut files = 0..100;
    assert!(files.any(|number| fs::File::create(theirs.join(number.to_string())).is_err()));
    let segments = || {
        let files = fs::read_dir(disk.join("journal")).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).count()
    };
    for number in 0..250 {
        run(journal.append(Admission::Continuing, record(number))).unwrap();
    }
    // There was one place for a new segment, and none for the next one.
    assert_eq!((segments(), count(&journal)), (2, 250));
    is_refused(&journal, Admission::New);
    fs::remove_dir_all(theirs).unwrap();
    eventually("the reserve is made again", || !journal.stats().no_space);
    run(journal.append(Admission::New, record(250))).unwrap();
    assert_eq!((segments(), count(&journal)), (3, 251));
    println!("{DONE}");
}
