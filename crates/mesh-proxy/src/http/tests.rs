//! Whole requests through the proxy, in process, over loopback.

mod harness;

mod filter; //     what filters do, and what routes change of them
mod framing; //    where a request ends is seen alike on both sides
mod keep_alive; // connections that are used again, and their end
mod limit; //      what is cut, and what just passes
mod plain; //      a request goes up, its response comes down
mod policy; //     access control and tokens
mod protocol; //   HTTP/1 and HTTP/2 on either side
mod reply; //      what we answer ourselves
mod retry; //      nobody is charged twice
mod pair; //       two proxies of the mesh, mutual TLS between them
mod timeout; //    how long things may take
mod upgrade; //    from HTTP to bytes
