// A CSMS that no one here wrote: npm's ocpp-rpc in strict mode, with a small control surface for tests.
//
//   node strict_csms.js [port]        prints "listening <port>"
//   GET  /report?calls=1              sockets per identity, overlaps, schema violations, counts by method
//   POST /call   {identity, method, params}   the charger's answer, or {error: {code, message}}
//   POST /drop   {identity}           cut the connection without a close frame
//   POST /boot   {status, interval, times}    answer the next `times` boots so, then Accepted
//   POST /door   {open}               refuse upgrades with 503, or admit again
//
// Strict mode checks both directions against the OCA's schemas; each violation is kept.
'use strict';
const http = require('node:http');
const { RPCServer } = require('ocpp-rpc');

const HEARTBEAT_S = Number(process.env.HEARTBEAT_S || 300);
const sockets = new Map(); // identity -> [{open, close}]
const clients = new Map(); // identity -> the newest client
const calls = [];
const violations = [];
let overlaps = 0;
let transactions = 0;
let doorOpen = true;
let boot = { status: 'Accepted', interval: HEARTBEAT_S, times: 0 };

const server = new RPCServer({ protocols: ['ocpp1.6', 'ocpp2.0.1'], strictMode: true, callTimeoutMs: 20000 });

server.auth((accept, reject) => (doorOpen ? accept({}) : reject(503, 'The door is closed')));

const answers = {
  BootNotification: () => {
    const status = boot.times > 0 ? boot.status : 'Accepted';
    const interval = boot.times > 0 ? boot.interval : HEARTBEAT_S;
    boot.times -= 1;
    return { status, interval, currentTime: new Date().toISOString() };
  },
  Heartbeat: () => ({ currentTime: new Date().toISOString() }),
  Authorize: (client) =>
    client.protocol === 'ocpp1.6' ? { idTagInfo: { status: 'Accepted' } } : { idTokenInfo: { status: 'Accepted' } },
  StartTransaction: () => ({ transactionId: ++transactions, idTagInfo: { status: 'Accepted' } }),
  DataTransfer: () => ({ status: 'Accepted' }),
  SignCertificate: () => ({ status: 'Accepted' }),
};

server.on('client', (client) => {
  const identity = client.identity;
  const record = { open: Date.now(), close: null };
  const known = sockets.get(identity) || [];
  if (known.some((socket) => socket.close === null)) overlaps += 1;
  known.push(record);
  sockets.set(identity, known);
  clients.set(identity, client);
  const close = () => { record.close = record.close || Date.now(); };
  client.on('disconnect', close);
  client.on('close', close);
  client.on('strictValidationFailure', ({ messageId, method, params, result, error, outbound }) => {
    violations.push({ identity, messageId, method, params, result, outbound, error: String(error && error.message) });
  });
  client.on('badMessage', ({ error }) => violations.push({ identity, error: String(error && error.message) }));
  client.handle(({ method, params }) => {
    calls.push({ identity, method, params, at: Date.now() });
    return (answers[method] || (() => ({})))(client, params);
  });
});

function report(withCalls) {
  const counts = {};
  for (const call of calls) counts[call.method] = (counts[call.method] || 0) + 1;
  return { sockets: Object.fromEntries(sockets), overlaps, violations, counts, calls: withCalls ? calls : undefined };
}

const actions = {
  '/call': async ({ identity, method, params }) => {
    try {
      return { result: await clients.get(identity).call(method, params || {}) };
    } catch (error) {
      return { error: { code: error.rpcErrorCode || error.name, message: error.message } };
    }
  },
  '/drop': ({ identity }) => { clients.get(identity)._ws.terminate(); return {}; },
  '/boot': (answer) => { boot = { interval: HEARTBEAT_S, ...answer }; return {}; },
  '/door': ({ open }) => { doorOpen = open; return {}; },
};

const web = http.createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : {};
  const act = actions[url.pathname];
  const answer = act ? await act(body) : report(url.searchParams.has('calls'));
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(answer));
});
web.on('upgrade', server.handleUpgrade);
web.listen(Number(process.argv[2] || 0), '127.0.0.1', () => console.log(`listening ${web.address().port}`));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0)); // whoever started us is gone
