// Runs Node.js clients. Each line of standard input is a call, each line of standard output its result:
// {"client", "url", "texts"} -> {"vectors"}, or {"client", "url", "query", "texts"} -> {"ranking"}.
// An exception of a client is {"error": {"name", "message", "status"}}.

import { createInterface } from "node:readline";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { InferenceClient } from "@huggingface/inference";
import { CohereEmbeddings, CohereRerank } from "@langchain/cohere";
import { HuggingFaceInferenceEmbeddings } from "@langchain/community/embeddings/hf";
import { OpenAIEmbeddings } from "@langchain/openai";
import { embed, embedMany } from "ai";
import { CohereClient, CohereClientV2 } from "cohere-ai";
import { Ollama } from "ollama";
import OpenAI from "openai";

// A name that no server knows: clients send the name that their user has configured.
const model = "any-model";
const apiKey = "anything";

const cohere = (url) => new CohereClient({ token: apiKey, environment: url, maxRetries: 0 });
const cohereV2 = (url) => new CohereClientV2({ token: apiKey, environment: url, maxRetries: 0 });

const compatible = (url) =>
  createOpenAICompatible({ name: "semblance", apiKey, baseURL: `${url}/v1/` }).textEmbeddingModel(model);

// Calls for each text, one after the other: the emulator stops answering if about a hundred requests come at once.
const inTurn = async (texts, call) => {
  const results = [];
  for (const text of texts) results.push(await call(text));
  return results;
};

const embedders = {
  openai: async (url, input) => {
    const client = new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 });
    return (await client.embeddings.create({ model, input })).data.map((item) => item.embedding);
  },
  "ai embedMany": async (url, values) =>
    (await embedMany({ model: compatible(url), values, maxRetries: 0 })).embeddings,
  "ai embed": async (url, values) =>
    inTurn(values, async (value) => (await embed({ model: compatible(url), value, maxRetries: 0 })).embedding),
  "@langchain/openai": async (url, texts) =>
    new OpenAIEmbeddings({
      model,
      apiKey,
      configuration: { baseURL: `${url}/v1` },
      maxRetries: 0,
    }).embedDocuments(texts),
  "@langchain/community hf": async (url, texts) =>
    new HuggingFaceInferenceEmbeddings({ model, apiKey, endpointUrl: url, maxRetries: 0 }).embedDocuments(texts),
  "@langchain/cohere": async (url, texts) =>
    new CohereEmbeddings({ model, client: cohere(url), maxRetries: 0 }).embedDocuments(texts),
  "@huggingface/inference": async (url, inputs) =>
    new InferenceClient(apiKey).endpoint(url).featureExtraction({ inputs }),
  "cohere-ai v1": async (url, texts) => {
    const answer = await cohere(url).embed({ model, texts, inputType: "search_document" });
    return answer.embeddings;
  },
  "cohere-ai v2": async (url, texts) => {
    const embeddingTypes = ["float"];
    const answer = await cohereV2(url).embed({ model, texts, inputType: "search_document", embeddingTypes });
    return answer.embeddings.float;
  },
  "ollama embed": async (url, input) =>
    (await new Ollama({ host: url }).embed({ model, input })).embeddings,
  "ollama embeddings": async (url, prompts) =>
    inTurn(prompts, async (prompt) => (await new Ollama({ host: url }).embeddings({ model, prompt })).embedding),
};

const rerankers = {
  "cohere-ai v1": async (url, query, documents) =>
    (await cohere(url).rerank({ query, documents })).results.map((item) => [item.index, item.relevanceScore]),
  "cohere-ai v2": async (url, query, documents) =>
    (await cohereV2(url).rerank({ model, query, documents })).results.map((item) => [
      item.index,
      item.relevanceScore,
    ]),
  "@langchain/cohere": async (url, query, documents) => {
    const reranker = new CohereRerank({ model, client: cohere(url), topN: documents.length });
    return (await reranker.rerank(documents, query)).map((item) => [item.index, item.relevanceScore]);
  },
  "@huggingface/inference": async (url, query, sentences) => {
    const inputs = { source_sentence: query, sentences };
    const scores = await new InferenceClient(apiKey).endpoint(url).sentenceSimilarity({ inputs });
    return scores.map((score, index) => [index, score]);
  },
};

async function result({ client, url, query, texts }) {
  try {
    if (query === undefined) {
      return { vectors: await embedders[client](url, texts) };
    }
    return { ranking: await rerankers[client](url, query, texts) };
  } catch (error) {
    const { name, message } = error;
    const status = error.status ?? error.statusCode ?? error.httpResponse?.status ?? error.status_code ?? null;
    return { error: { name, message: String(message), status } };
  }
}

process.stdout.write(JSON.stringify({ embedders: Object.keys(embedders), rerankers: Object.keys(rerankers) }) + "\n");
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await result(JSON.parse(line))) + "\n");
}
