/** Where a cluster keeps a key: CRC16 (XMODEM) of its hash tag, modulo 16,384. */

const SLOTS = 16_384;
const POLYNOMIAL = 0x1021;

/** The slot of all keys that hold `{hashTag}`. */
export function slotOf(hashTag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(hashTag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ POLYNOMIAL;
    crc &= 0xffff;
  }
  return crc % SLOTS;
}
