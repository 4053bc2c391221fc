// Runs the migrations of an application from npm in a database, whose server writes down the statements.
//
//   migrate.mjs NAME FOLDER HOST PORT DATABASE     with NAME from APPLICATIONS, and the folder where npm has put the packages
//   migrate.mjs packages                           prints what npm has to install
//   migrate.mjs names
import Module, { createRequire } from 'node:module';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const [name, folder, host, port, database] = process.argv.slice(2);
const need = folder ? createRequire(join(folder, 'package.json')) : undefined;
const place = { host, port: Number(port), database, user: 'postgres' };

async function statements(list) {
	const client = new (need('pg').Client)(place);
	await client.connect();
	for (const statement of list) await client.query(statement);
	await client.end();
}

// TypeORM's own runner, with the migrations of Medusa, a shop. What they need of the rest of it is a flag here and there, which stays unset.
async function medusa() {
	const here = join(folder, 'node_modules/@medusajs/medusa/dist/migrations');
	const load = Module._load;
	Module._load = function (request, parent, ...more) {
		try {
			return load.call(this, request, parent, ...more);
		} catch (error) {
			if (error.code !== 'MODULE_NOT_FOUND' || !parent?.filename.includes('@medusajs')) throw error;
			const known = { [Symbol.toPrimitive]: () => '', [Symbol.iterator]: () => [].values() };
			const nothing = new Proxy(function () {}, { get: (_, key) => known[key] ?? nothing, apply: () => (target) => target });
			return nothing;
		}
	};
	need('reflect-metadata');
	const { DataSource } = need('typeorm');
	const migrations = [];
	for (const file of readdirSync(here).filter((file) => /^\d.*\.js$/.test(file)).sort()) {
		// One that needs more of the application than there is is no part of it.
		try {
			migrations.push(...Object.values(need(join(here, file))).filter((made) => typeof made === 'function' && /\d{13}$/.test(made.name)));
		} catch (error) {
			console.error(`${file}: ${error.message.split('\n')[0]}`);
		}
	}
	const source = new DataSource({ type: 'postgres', ...place, username: 'postgres', migrations, migrationsTransactionMode: 'each' });
	await source.initialize();
	await source.runMigrations();
	await source.destroy();
}

// A schema of ours, and what Drizzle's own kit makes of it and of its next versions: one that adds, one that drops.
async function drizzle() {
	const { generateDrizzleJson, generateMigration } = need('drizzle-kit/api');
	const { sql } = need('drizzle-orm');
	const pg = need('drizzle-orm/pg-core');
	const make = (version) => {
		const next = version > 1;
		const shop = pg.pgSchema('shop');
		const status = pg.pgEnum('status', next ? ['open', 'paid', 'lost'] : ['open', 'paid']);
		const users = pg.pgTable(
			'users',
			{
				id: pg.uuid('id').primaryKey().defaultRandom(),
				email: pg.varchar('email', { length: 320 }).notNull().unique(),
				tags: pg.text('tags').array().notNull().default(sql`'{}'::text[]`),
				settings: pg.jsonb('settings').default({ theme: 'dark' }),
				createdAt: pg.timestamp('created_at', { withTimezone: true, precision: 3 }).notNull().defaultNow(),
				...(next ? { upper: pg.text('upper').generatedAlwaysAs(sql`upper(email)`), seen: pg.interval('seen') } : {}),
				...(version < 3 ? { old: pg.integer('old') } : {}),
			},
			(table) => [pg.index('lower_email').on(sql`lower(${table.email})`), pg.check('has_at', sql`${table.email} LIKE '%@%'`)],
		);
		const orders = shop.table(
			'orders',
			{
				id: pg.bigint('id', { mode: 'bigint' }).generatedAlwaysAsIdentity({ startWith: 1000, increment: 10 }),
				user: pg.uuid('user_id').references(() => users.id, { onDelete: 'cascade' }),
				status: status('status').notNull().default('open'),
				total: pg.numeric('total', { precision: 12, scale: 2 }).notNull().default('0'),
				at: pg.point('at'),
				...(next ? { note: pg.text('note') } : {}),
			},
			(table) => [
				pg.primaryKey({ name: 'orders_pk', columns: [table.id, table.status] }),
				pg.uniqueIndex('one_open').on(table.user).where(sql`status = 'open'`),
				...(next ? [pg.index('by_total').using('btree', table.total.desc().nullsLast()).concurrently()] : []),
			],
		);
		const view = pg.pgView('open_orders').as((query) => query.select().from(orders).where(sql`${orders.status} = 'open'`));
		return next ? { shop, status, users, orders, view } : { shop, status, users, orders };
	};
	const versions = [{}, make(1), make(2), make(3)].map((schema) => generateDrizzleJson(schema));
	for (let to = 1; to < versions.length; to++) await statements(await generateMigration(versions[to - 1], versions[to]));
}

const APPLICATIONS = {
	'graphile-worker': {
		packages: ['graphile-worker'],
		run: () => need('graphile-worker').runMigrations({ pgPool: new (need('pg').Pool)(place) }),
	},
	'pg-boss': {
		packages: ['pg-boss@10'],
		run: async () => {
			const boss = new (need('pg-boss'))(place);
			boss.on('error', () => {});
			await boss.start();
			await boss.createQueue('mail', { policy: 'standard' });
			await boss.createQueue('report', { policy: 'singleton', deadLetter: 'mail' });
			await boss.send('mail', { to: 'nobody' });
		},
	},
	'typeorm-medusa': { packages: ['typeorm', 'reflect-metadata'], alone: ['@medusajs/medusa@1'], run: medusa },
	drizzle: { packages: ['drizzle-orm', 'drizzle-kit'], run: drizzle },
};

if (name === 'packages') console.log(['pg', ...Object.values(APPLICATIONS).flatMap((one) => one.packages)].join('\n'));
// Those of which no dependency is needed: they are many.
else if (name === 'alone') console.log(Object.values(APPLICATIONS).flatMap((one) => one.alone ?? []).join('\n'));
else if (name === 'names') console.log(Object.keys(APPLICATIONS).join('\n'));
else {
	await APPLICATIONS[name].run();
	// Pools and timers of theirs would keep it going.
	process.exit(0);
}
