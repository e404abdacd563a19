// Uses the emulator that FIRESTORE_EMULATOR_HOST names, and prints what it read as JSON.

import { FieldValue, Firestore, Timestamp } from "@google-cloud/firestore";

const db = new Firestore({ projectId: process.argv[2] });
const orders = db.collection("orders");

const values = {
  null: null,
  integer: 7,
  double: 0.5,
  text: "é𝄞",
  bytes: Buffer.from([0, 255]),
  time: Timestamp.fromMillis(1_767_323_045_678),
  list: [1, "a", { deep: true }],
  reference: db.doc("orders/a"),
  vector: FieldValue.vector([1, 0.5]),
};

const batch = db.batch();
["a", "b", "c"].forEach((id, number) => batch.set(orders.doc(id), { number, ...values }));
await batch.commit();

const stored = (await orders.doc("a").get()).data();
const found = {
  values: {
    null: stored.null,
    integer: stored.integer,
    double: stored.double,
    text: stored.text,
    bytes: [...stored.bytes],
    time: stored.time.toMillis(),
    list: stored.list,
    reference: stored.reference.path,
    vector: stored.vector.toArray(),
  },
  query: (await orders.where("number", ">=", 1).orderBy("number", "desc").get()).docs
    .map((document) => document.id),
  count: (await orders.count().get()).data().count,
  transaction: await db.runTransaction(async (transaction) => {
    const number = (await transaction.get(orders.doc("c"))).get("number") + 1;
    transaction.update(orders.doc("c"), { number });
    return number;
  }),
  increment: await orders.doc("c").update({ number: FieldValue.increment(10) })
    .then(() => orders.doc("c").get())
    .then((document) => document.get("number")),
  error: await orders.doc("a").create({}).then(() => 0, (error) => error.code),
  collections: (await db.listCollections()).map((collection) => collection.id),
  listened: await new Promise((resolve, reject) => {
    const seen = [];
    const stop = orders.where("number", ">=", 10).onSnapshot((snapshot) => {
      seen.push(...snapshot.docChanges().map((change) => `${change.type} ${change.doc.id}`));
      if (seen.length === 1) orders.doc("d").set({ number: 11 }).catch(reject);
      if (seen.length === 2) {
        stop();
        resolve(seen);
      }
    }, reject);
  }),
};

console.log(JSON.stringify(found));
await db.terminate();
