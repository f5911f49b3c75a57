// Copyright 2026 the lazyinit authors. MIT license.

import type { Mutant } from "./mutants.ts";

const RENDEZVOUS = "_rendezvous.ts";

/** Faults that somebody could make in cells by name, by the invariants at their top. */
export const mutants: readonly Mutant[] = [
  {
    name: "name: the cell made without a look for holders (R1)",
    file: RENDEZVOUS,
    from:
      '      if (!await isFree(nameOf("holders", key))) return undefined;\n',
    to: "",
    tests: ["open:come later"],
  },
  {
    name: "name: the cell made without the gate (R1)",
    file: RENDEZVOUS,
    from:
      '  return await within(nameOf("gate", key), "exclusive", async () => {\n    await pause',
    to:
      "  return await (async (body) => await body())(async () => {\n    await pause",
    tests: ["open:makes no other cell"],
  },
  {
    name: "name: the cell made without the inner gate (R1)",
    file: RENDEZVOUS,
    from:
      '    return await within(nameOf("inner gate", key), "exclusive", async () => {\n',
    to: "    return await (async (body) => await body())(async () => {\n",
    tests: ["open:grants the gate to two agents"],
  },
  {
    name: "name: answers without the holders' lock (R2)",
    file: RENDEZVOUS,
    from:
      "        granted === null ? resolve(undefined) : new Promise<void>(resolve),\n",
    to: "        resolve(granted === null ? undefined : () => {}),\n",
    tests: ["open:come later"],
  },
  {
    name: "name: a holder without the lock that another agent looks at (R2)",
    file: RENDEZVOUS,
    from:
      "    // Another asker looks at it\n    await pause(SHORTEST_PAUSE, signal);\n",
    to:
      "    // Another asker looks at it\n    release = () => {};\n    break;\n",
    tests: ["open:at that moment"],
  },
  {
    name: "name: answers after the name was given up (R2)",
    file: RENDEZVOUS,
    from: "    holdings.delete(key);\n    holding.release();\n",
    to: "    holding.release();\n",
    tests: ["open:gives it up"],
  },
  {
    name: "name: not given up by the last face",
    file: RENDEZVOUS,
    from: "    holdings.delete(key);\n    holding.release();\n",
    to: "    holdings.delete(key);\n",
    tests: ["open:gives it up"],
  },
  {
    name: "name: given up by the first face",
    file: RENDEZVOUS,
    from: "    if (holding.faces > 0) return;\n",
    to: "",
    tests: ["open:gives it up"],
  },
  {
    name: "name: a face that counts twice when it is disposed of twice",
    file: RENDEZVOUS,
    from: "    endings.delete(face);\n",
    to: "",
    tests: ["open:gives it up"],
  },
  {
    name: "name: two holdings of one agent",
    file: RENDEZVOUS,
    from:
      "  if (known !== undefined) {\n    release();\n    return share(key, known, face);\n  }\n",
    to: "",
    tests: ["open:holders at once"],
  },
  {
    name: "name: asked for without the gate (R3)",
    file: RENDEZVOUS,
    from:
      '  return await within(nameOf("gate", key), "shared", async () => {\n',
    to: "  return await (async (body) => await body())(async () => {\n",
    tests: ["open:makes no other cell"],
  },
  {
    name: "name: the gate let go before the agent is a holder (R3)",
    file: RENDEZVOUS,
    from:
      "    const answer = await answerTo(key, signal);\n    if (answer === undefined) return undefined;\n    return await hold(key, ways.attach(answer.handle), signal);\n  });\n",
    to:
      "    return await answerTo(key, signal);\n  }).then((answer) =>\n    answer && hold(key, ways.attach(answer.handle), signal)\n  );\n",
    tests: ["open:makes no other cell"],
  },
  {
    name: "name: an answer to another question taken (R3)",
    file: RENDEZVOUS,
    from: "    questions.get(message.id)?.(message.handle);\n",
    to: "    for (const take of questions.values()) take(message.handle);\n",
    tests: ["open:two names apart"],
  },
  {
    name: "name: answers ignored",
    file: RENDEZVOUS,
    from: "    questions.get(message.id)?.(message.handle);\n",
    to: "",
    tests: ["open:ended after others have attached"],
  },
  {
    name: "name: a question asked once",
    file: RENDEZVOUS,
    from: '      post({ type: "question", key, id });\n',
    to:
      '      if (length === SHORTEST_PAUSE) post({ type: "question", key, id });\n',
    tests: ["open:holder that is blocked"],
  },
  {
    name: "name: the holder in the agent itself not heard",
    file: RENDEZVOUS,
    from: "      answer ??= holdings.get(key)?.first;\n",
    to: "",
    tests: ["open:one of them alone"],
  },
  {
    name: "name: a holder waited for that there is no more",
    file: RENDEZVOUS,
    from: '      if (await isFree(nameOf("holders", key))) return undefined;\n',
    to: "",
    tests: ["open:ends while agents wait"],
  },
  {
    name: "name: another codec under the name of an open cell",
    file: RENDEZVOUS,
    from:
      "      return share(key, holding, ways.attach(holding.first.handle));\n",
    to: "      return share(key, holding, holding.first as Face);\n",
    tests: ["open:another class or codec"],
  },
  {
    name: "name: an abort ignored",
    file: RENDEZVOUS,
    from: "  const signal = signalOf(options);\n  throwIfAborted(signal);\n",
    to: "  throwIfAborted(signalOf(options));\n  const signal = undefined;\n",
    tests: ["open:before the call and while it waits"],
  },
  {
    name: "name: held by a call that was aborted",
    file: RENDEZVOUS,
    from: "  if (signal?.aborted) release();\n",
    to: "",
    tests: ["open:at the last moment"],
  },
  {
    name: "name: taken at the last moment by a call that was aborted",
    file: RENDEZVOUS,
    from: "  if (signal?.aborted) release();\n  throwIfAborted(signal);\n",
    to: "",
    tests: ["open:at the last moment"],
  },
  {
    name: "name: two names that a channel takes for one",
    file: RENDEZVOUS,
    from: "  const key = JSON.stringify(name);\n",
    to: "  const key = name.toWellFormed();\n",
    tests: ["open:two names apart"],
  },
];
