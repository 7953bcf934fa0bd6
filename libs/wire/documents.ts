/** Bodies that are no JSON of ours: files, pages, streams of events. */
import { z } from 'zod';

export const FileSchema = z.string().meta({ format: 'binary' });
export const TextSchema = z.string();
export const DocumentSchema = z.record(z.string(), z.unknown());
