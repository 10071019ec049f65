//! A stand-in for the part of Open WebUI that tells an administrator who its users are.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

/// How many users a page has.
const PAGE: usize = 30;

/// In which form it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Pages, as 0.12 has them.
    Pages,
    /// The whole list at once, as 0.6 had it.
    List,
    /// An error.
    Broken,
}

/// What it knows at the moment.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Its users, as the API shows them.
    pub users: Vec<Value>,
    /// How it answers.
    pub form: Form,
}

/// A running stand-in. It ends with the process.
#[derive(Debug, Clone)]
pub struct FakeOpenWebui {
    /// Where it is.
    pub base: String,
    /// The administrator's key.
    pub key: String,
    registry: Arc<Mutex<Registry>>,
}

/// A user as the API shows one.
pub fn user(id: &str, name: &str, role: &str) -> Value {
    json!({
        "id": id, "name": name, "email": format!("{id}@x.example"), "role": role,
        "profile_image_url": format!("data:image/png;base64,{}", "A".repeat(5_000)), "last_active_at": 1_700_000_002,
        "updated_at": 1_700_000_001, "created_at": 1_700_000_000, "group_ids": [], "settings": { "ui": {} },
    })
}

impl FakeOpenWebui {
    /// Starts one with these users.
    pub fn start(users: Vec<Value>, form: Form) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let registry = Arc::new(Mutex::new(Registry { users, form }));
        let fake = Self { base, key: "sk-administrator-of-tests".to_owned(), registry };
        let answering = fake.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that leaves early is no concern of ours.
                let _ = answering.answer(stream);
            }
        });
        fake
    }

    /// Changes what it knows.
    pub fn change(&self, change: impl FnOnce(&mut Registry)) {
        change(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let mut authorization = String::new();
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("authorization")
            {
                value.trim().clone_into(&mut authorization);
            }
        }
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let page = request.strip_prefix("GET /api/v1/users/?page=").and_then(|rest| rest.split(' ').next());
        let page = page.and_then(|number| number.parse::<usize>().ok());
        let (status, body) = match (page, registry.form) {
            (None, _) => (404, json!({ "detail": "Not Found" })),
            _ if authorization != format!("Bearer {}", self.key) => {
                (401, json!({ "detail": "401 Unauthorized" }))
            }
            (_, Form::Broken) => (500, json!({ "detail": "broken" })),
            (_, Form::List) => (200, Value::from(registry.users)),
            (Some(page), Form::Pages) => {
                let shown = registry.users.iter().skip(PAGE * (page - 1)).take(PAGE).cloned();
                (200, json!({ "users": shown.collect::<Vec<_>>(), "total": registry.users.len() }))
            }
        };
        let body = body.to_string();
        write!(
            stream,
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }
}
