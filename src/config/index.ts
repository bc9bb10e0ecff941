export { didYouMean, nearestName } from "./did-you-mean.ts";
export type { SettingFacts } from "./fields.ts";
export { defaultSettings, loadSettings, SETTINGS_FILE, type SettingsSources } from "./load.ts";
export {
  environmentName,
  factsOf,
  flagName,
  REDIS_BROKER,
  SETTING_NAMES,
  type SettingName,
  type Settings,
  settingDefault,
} from "./schema.ts";
