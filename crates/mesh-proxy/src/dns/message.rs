//! Queries and answers on the wire (RFC 1035, EDNS of RFC 6891). The coding itself is hickory's.

use super::names::Found;
use hickory_proto::{
    op::{Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME},
    },
    serialize::binary::{BinDecodable, BinDecoder},
};

/// How long an answer from the table may be kept, in seconds.
const TTL: u32 = 30;
/// Largest answer over UDP, whatever the client would take (RFC 6891 section 6.2.5).
pub(super) const LARGEST_DATAGRAM: u16 = 4096;
/// Largest answer over TCP.
const LARGEST: u16 = u16::MAX;

/// How a query came, and its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// What arrived.
#[derive(Debug)]
pub(super) enum Received {
    /// A question.
    Question(Box<Question>),
    /// Something to be refused with this answer.
    Refused(Vec<u8>),
    /// Something to which there is no answer, such as another answer: two servers could go on for ever.
    Nothing,
}

/// One question, and what came with it.
#[derive(Debug)]
pub(super) struct Question {
    message: Message,
    query: Query,
    transport: Transport,
}

impl Received {
    /// Reads what arrived.
    pub(super) fn read(bytes: &[u8], transport: Transport) -> Self {
        let Ok(header) = Header::read(&mut BinDecoder::new(bytes)) else {
            return Self::Nothing;
        };
        let Metadata {
            message_type,
            op_code,
            ..
        } = header.metadata;
        if message_type == MessageType::Response {
            return Self::Nothing;
        }
        if op_code != OpCode::Query {
            return Self::refused(&header, ResponseCode::NotImp);
        }
        // Looked at first, because memory is set aside for as many as are announced.
        if header.counts.queries != 1 {
            return Self::refused(&header, ResponseCode::FormErr);
        }
        let message = Message::from_vec(bytes).ok();
        let query = message.as_ref().and_then(|m| m.queries.first().cloned());
        match message.zip(query) {
            Some((message, query)) => Self::Question(Box::new(Question {
                message,
                query,
                transport,
            })),
            None => Self::refused(&header, ResponseCode::FormErr),
        }
    }

    fn refused(header: &Header, code: ResponseCode) -> Self {
        let answer = Message::error_msg(header.metadata.id, header.metadata.op_code, code);
        answer.to_vec().map_or(Self::Nothing, Self::Refused)
    }
}

impl Question {
    /// What is asked.
    pub(super) fn query(&self) -> &Query {
        &self.query
    }

    /// How it came.
    pub(super) fn transport(&self) -> Transport {
        self.transport
    }

    /// The id that its answer must have.
    pub(super) fn id(&self) -> u16 {
        self.message.metadata.id
    }

    /// Whether the table may have the answer.
    pub(super) fn is_for_addresses(&self) -> bool {
        self.query.query_class() == DNSClass::IN
            && matches!(self.query.query_type(), RecordType::A | RecordType::AAAA)
    }

    /// The largest answer that the client takes, in bytes.
    pub(super) fn limit(&self) -> usize {
        let limit = match self.transport {
            Transport::Udp => self.message.max_payload().min(LARGEST_DATAGRAM),
            Transport::Tcp => LARGEST,
        };
        limit.into()
    }

    /// The answer that says no more than that something went wrong.
    pub(super) fn failure(&self) -> Option<Vec<u8>> {
        self.response(ResponseCode::ServFail).to_vec().ok()
    }

    /// The answer that says no more than that the whole one takes TCP.
    pub(super) fn truncated(&self) -> Option<Vec<u8>> {
        let mut answer = self.response(ResponseCode::NoError);
        answer.metadata.truncation = true;
        answer.to_vec().ok()
    }

    /// The answer from the table: none of a family, for a name that has but the other, is an answer too. As many
    /// addresses as fit; if that is not all, the client is told to come back over TCP.
    pub(super) fn answer(&self, found: Found<'_>) -> Option<Vec<u8>> {
        let mut answer = self.response(ResponseCode::NoError);
        answer.metadata.authoritative = true;
        let mut owner = self.query.name().clone();
        if let Some(name) = found.alias_of {
            let alias = RData::CNAME(CNAME(name.clone()));
            answer.add_answer(Record::from_rdata(owner, TTL, alias));
            owner = name;
        }
        let record = |data| Record::from_rdata(owner.clone(), TTL, data);
        match self.query.query_type() {
            RecordType::A => answer.add_answers(found.host.v4().map(|a| record(RData::A(A(a))))),
            _ => answer.add_answers(found.host.v6().map(|a| record(RData::AAAA(AAAA(a))))),
        };
        let mut bytes = answer.to_vec().ok()?;
        while bytes.len() > self.limit() {
            // The name stands in each as a pointer of two bytes; ten more, and the address.
            let record = match self.query.query_type() {
                RecordType::A => 16,
                _ => 28,
            };
            let surplus = (bytes.len() - self.limit()).div_ceil(record);
            let kept = answer.answers.len().checked_sub(surplus)?;
            answer.answers.truncate(kept);
            answer.metadata.truncation = true;
            bytes = answer.to_vec().ok()?;
        }
        Some(bytes)
    }

    fn response(&self, code: ResponseCode) -> Message {
        let mut metadata = Metadata::response_from_request(&self.message.metadata);
        metadata.recursion_available = true;
        metadata.response_code = code;
        let mut response = Message::response(metadata.id, metadata.op_code);
        response.metadata = metadata;
        response.add_query(self.query.clone());
        if self.message.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(LARGEST_DATAGRAM);
            response.set_edns(edns);
        }
        response
    }
}

/// What a name server answered, as far as it concerns us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// There is more of it over TCP.
    pub(super) is_truncated: bool,
    /// It says something about the name, and not only about the server.
    pub(super) is_helpful: bool,
}

/// Judges an answer to `query`, asked for under `id`; `None` if it is none.
pub(super) fn judge(bytes: &[u8], id: u16, query: &Query) -> Option<Verdict> {
    let mut decoder = BinDecoder::new(bytes);
    let Header { metadata, counts } = Header::read(&mut decoder).ok()?;
    if metadata.message_type != MessageType::Response || metadata.id != id {
        return None;
    }
    let code = metadata.response_code;
    let is_about_it = match counts.queries {
        // Servers that refuse may leave the question out.
        0 => code != ResponseCode::NoError,
        1 => Query::read(&mut decoder).is_ok_and(|echo| echo == *query),
        _ => false,
    };
    is_about_it.then_some(Verdict {
        is_truncated: metadata.truncation,
        is_helpful: matches!(code, ResponseCode::NoError | ResponseCode::NXDomain),
    })
}

/// Gives a message another id. Those that are too short to have one are left as they are.
pub(super) fn set_id(message: &mut [u8], id: u16) {
    if let Some(place) = message.first_chunk_mut::<2>() {
        *place = id.to_be_bytes();
    }
}
