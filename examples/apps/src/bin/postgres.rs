//! Queries of PostgreSQL, by tokio-postgres over `tokio_util::compat`: one thread, no tokio.
//!
//! Run it with `cargo run -p selkie-apps --bin postgres -- ADDR USER [PASSWORD]`, as in `postgres
//! 127.0.0.1:5432 postgres`. It prints the server's version, what a hundred queries at once over
//! one connection add up to, how a query that is too slow is cancelled, and a notification.

use std::error::Error;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use futures::StreamExt;
use futures::future::try_join_all;
use selkie::{Async, spawn, timeout};
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

type Tcp = Compat<Async<TcpStream>>;

async fn connect(address: SocketAddr) -> std::io::Result<Tcp> {
    let stream = Async::<TcpStream>::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream.compat()) // The one line of adapter.
}

/// Moves the bytes of the connection, and prints what the server says by itself.
async fn drive(mut connection: Connection<Tcp, NoTlsStream>) {
    loop {
        match poll_fn(|cx| connection.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notification(told))) => {
                println!("notified on {}: {}", told.channel(), told.payload());
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return eprintln!("the connection broke: {error}"),
            None => return,
        }
    }
}

async fn query(client: &Client, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let row = client.query_one("show server_version", &[]).await?;
    println!("server version {}", row.get::<_, &str>(0));

    // All are under way at once, on one connection.
    let square = client.prepare("select $1::int8 * $1::int8").await?;
    let square = &square;
    let rows = try_join_all((1..=100_i64).map(|number| async move {
        client.query_one(square, &[&number]).await.map(|row| row.get::<_, i64>(0))
    }));
    println!("the first hundred squares add up to {}", rows.await?.iter().sum::<i64>());

    // What is given up here goes on at the server, unless it is told.
    let slow = client.batch_execute("select pg_sleep(60)");
    let mut slow = std::pin::pin!(slow);
    if timeout(Duration::from_millis(50), slow.as_mut()).await.is_err() {
        client.cancel_token().cancel_query_raw(connect(address).await?, NoTls).await?;
    }
    match slow.await {
        Err(error) => println!("too slow: {}", error.as_db_error().map_or("?", |e| e.message())),
        Ok(()) => println!("the server slept a minute in no time"),
    }

    client.batch_execute("listen news; notify news, 'it works'").await?;
    let rows = client.query_raw("select generate_series(1, 100000)", [] as [i32; 0]).await?;
    println!("{} rows came one by one", rows.count().await);
    Ok(())
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, user, password @ ..] = &arguments[..] else {
        return Err("an address and a user are needed".into());
    };
    let address = selkie_apps::address(address)?;
    let mut config = Config::new();
    config.user(user).dbname("postgres");
    if let [password] = password {
        config.password(password);
    }
    selkie::block_on(async {
        let (client, connection) = config.connect_raw(connect(address).await?, NoTls).await?;
        let driver = spawn(drive(connection));
        query(&client, address).await?;
        drop(client); // Says goodbye, and ends the driver.
        driver.await;
        Ok(())
    })
}

fn main() -> ExitCode {
    selkie_apps::exit("postgres ADDR USER [PASSWORD]", run())
}
