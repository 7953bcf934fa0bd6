/** Bodies without a JSON schema of Tandem's own: files and pages. */
import { z } from 'zod';

export const FileSchema = z.string().meta({ format: 'binary' });
export const TextSchema = z.string();
export const DocumentSchema = z.record(z.string(), z.unknown());
