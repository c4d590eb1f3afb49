//! A server on a thread of its own: it neither needs the caller's runtime nor stands still when a test blocks it.
//! Dropping it closes every connection and joins the thread.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

/// Connections waiting to be accepted: more than any burst of a test.
const BACKLOG: u32 = 4096;
/// Holds a whole page, so that one write sends it.
const SEND_BUFFER_BYTES: u32 = 512 * 1024;
/// Attempts to find one port that is free on all addresses.
const BIND_ATTEMPTS: usize = 16;
/// Pause after a failed accept (mostly: out of file descriptors), lest it spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Runner {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runner {
    /// Serves on `127.0.0.1` to `127.0.0.{hosts}` at one port (0 finds one), a task per connection.
    pub(crate) fn start<H, F>(name: &str, hosts: u8, port: u16, handle: H) -> io::Result<Self>
    where
        H: Fn(TcpStream) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let (bound, binding) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listeners = match bind(hosts.max(1), port) {
                    Ok((listeners, address)) => {
                        // The starter waits for this word; if it is gone, `stopped` ends at once.
                        let _ = bound.send(Ok(address));
                        listeners
                    }
                    Err(error) => {
                        let _ = bound.send(Err(error));
                        return;
                    }
                };
                for listener in listeners {
                    tokio::spawn(accept(listener, handle.clone()));
                }
                let _ = stopped.await;
            });
        })?;
        let address = binding.recv().map_err(|_| io::Error::other("the server thread ended"))??;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// The first address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the server ends by itself, which it never does.
    pub(crate) fn join(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept<H, F>(listener: TcpListener, handle: H)
where
    H: Fn(TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it a page in two packets waits for an acknowledgement; a failure only costs that time.
                let _ = stream.set_nodelay(true);
                tokio::spawn(handle(stream));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

fn bind(hosts: u8, port: u16) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let mut attempt = 1;
    loop {
        match bind_all(hosts, port) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && port == 0 && attempt < BIND_ATTEMPTS =>
            {
                attempt += 1;
            }
            result => return result,
        }
    }
}

fn bind_all(hosts: u8, port: u16) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let first = listen(1, port)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for host in 2..=hosts {
        listeners.push(listen(host, address.port())?);
    }
    Ok((listeners, address))
}

fn listen(host: u8, port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, host), port)))?;
    socket.listen(BACKLOG)
}
