//! An upstream of a few lines, for what the mock cannot do.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

/// Serves each connection in a thread of its own and returns the base URL.
pub(crate) fn serve(handle: impl Fn(BufReader<TcpStream>) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (handle, connection) = (handle.clone(), BufReader::new(connection.unwrap()));
            thread::spawn(move || handle(connection));
        }
    });
    base
}

/// Reads the head of a request: its lines, without the empty one that ends it.
pub(crate) fn head(connection: &mut BufReader<TcpStream>) -> Vec<String> {
    let lines = connection.lines().map(Result::unwrap);
    lines.take_while(|line| !line.is_empty()).collect()
}

/// Serves every request with this answer, whose body ends with the connection.
pub(crate) fn answering(answer: Vec<u8>) -> String {
    serve(move |mut connection| {
        let head = head(&mut connection);
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        connection.read_exact(&mut body).unwrap();
        connection.get_mut().write_all(&answer).unwrap();
    })
}
